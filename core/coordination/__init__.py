"""What several processes agree on: leases, checkpoints, presence, turns."""
