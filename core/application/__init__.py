"""Runs the domain through ports alone: the feed, workers, projections, replay and webhooks."""
