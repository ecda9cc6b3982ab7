"""What runs the domain: the feed, workers, projections, replay and webhooks, through ports alone."""
