"""One process: its settings, and the only place that builds adapters and wires them."""
