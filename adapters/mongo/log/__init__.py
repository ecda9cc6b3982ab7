"""The `events` collection, and what belongs to it."""
