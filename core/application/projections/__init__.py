"""Read models, kept up with the log."""
