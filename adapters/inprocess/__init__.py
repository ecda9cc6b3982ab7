"""What one process does for itself: turns, and a doorbell rung by its own commits."""
