"""The `alarms` collection: the alarm list."""
