"""Key figures of the load on operators (IEC 62682, EEMUA 191)."""
