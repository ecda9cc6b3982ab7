"""The log read again: rebuilding read models, checking them, trying other rules."""
