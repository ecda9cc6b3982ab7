"""`python -m entrypoints.cli` is `tocsin`."""

from entrypoints.cli.main import main

main()
