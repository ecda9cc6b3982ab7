"""What an alarm system asks of its operators, in figures (IEC 62682, EEMUA 191)."""
