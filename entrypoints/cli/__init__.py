"""The command line: `tocsin COMMAND`."""
