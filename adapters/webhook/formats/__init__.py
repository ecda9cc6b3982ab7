"""What is sent, one file for each kind of receiver; `table` has them all."""
