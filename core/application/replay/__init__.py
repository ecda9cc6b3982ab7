"""Replays the log: rebuilds read models, checks them, tries other rules."""
