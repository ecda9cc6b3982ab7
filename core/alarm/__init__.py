"""The alarm: its commands, events and rules (ISA-18.2, IEC 62682, X.733)."""
