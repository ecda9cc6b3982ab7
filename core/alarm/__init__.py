"""The alarm: what can be asked of it, what happens to it, and by which rules (ISA-18.2, IEC 62682, X.733)."""
