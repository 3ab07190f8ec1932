"""The console that reports are printed with."""

from __future__ import annotations

from rich.console import Console


class ReportConsole(Console):
    """A console that leaves a closed pipe to `scanner.cli`; rich's own exits with 1."""

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that is being handled."""
        raise  # noqa: PLE0704 - rich calls it where it catches the error
