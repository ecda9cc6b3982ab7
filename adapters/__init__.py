"""One folder for each outside system; an adapter imports core, never another adapter."""
