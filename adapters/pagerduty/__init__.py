"""Turns events of PagerDuty's Events API v2 into commands."""
