"""The alarm list: the present one from `alarms`, earlier ones from `events`."""
