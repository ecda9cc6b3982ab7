"""The connections between processes, to the one that appends for all."""
