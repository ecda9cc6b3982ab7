"""The `events` collection: appending to it, reading it, and hearing of what others append."""
