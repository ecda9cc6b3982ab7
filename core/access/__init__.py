"""Who asks, what each role may do, and what was taken back."""
