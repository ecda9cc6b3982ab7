"""The `leases`, `checkpoints` and `processes` collections."""
