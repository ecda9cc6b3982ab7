"""A mongod that Tocsin starts and ends itself."""
