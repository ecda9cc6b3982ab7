"""The alarm list: which alarms it shows, to whom, in which order."""
