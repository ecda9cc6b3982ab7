"""The log of events: appending to it and reading from it."""
