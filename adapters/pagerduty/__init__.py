"""PagerDuty: its Events API v2 as commands."""
