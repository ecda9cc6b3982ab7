"""One folder for each outside thing; an adapter imports core, never another adapter."""
