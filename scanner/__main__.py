"""`python -m scanner` is the same as `scanner`."""

from scanner.cli import main

if __name__ == "__main__":  # not in a process that multiprocessing starts
    main()
