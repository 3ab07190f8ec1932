"""Options of the command line, and the frozen dataclasses that they become."""
