"""Message formats, one file for each kind of receiver; `table` lists them."""
