"""The log of events: how events come into it, and what is read from it."""
