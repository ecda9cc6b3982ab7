"""The `events` collection: appends, reads, and notices of other processes' appends."""
