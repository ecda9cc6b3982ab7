"""The alarm list: the `alarms` collection, and the alarms as they once stood, from `events`."""
