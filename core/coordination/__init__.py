"""Coordination of processes: leases, checkpoints, presence, turns."""
