"""The alarm list: its filters, its queries and its order."""
