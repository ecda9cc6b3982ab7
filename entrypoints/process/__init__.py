"""One process: its settings, and the only place that builds and wires adapters."""
