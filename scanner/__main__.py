"""`python -m scanner` is the same as `scanner`."""

from scanner.cli import main

main()
