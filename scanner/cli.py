"""The `scanner` command: a group whose commands are loaded when they are called."""

from __future__ import annotations

import importlib

import click

from scanner.config import file_settings
from scanner.exits import INTERRUPTED

# In the order in which a new user needs them; one module of `scanner.commands` each.
COMMANDS = {
    "scan": "Scan a folder on this machine, from listing to report.",
    "check": "Look at single files, with no queue and no store.",
    "report": "Sum up a scan.",
    "verdicts": "Print one row per image.",
    "status": "How far a scan is.",
    "scans": "List or forget scans.",
    "enqueue": "List a folder and put its batches on the queue.",
    "worker": "Take batches from the queue until stopped.",
    "resume": "Publish again what of a scan is not done.",
    "cancel": "Stop a scan; what is judged stays.",
    "detectors": "List the detectors, show a card.",
    "store": "Upgrade or back up the store.",
    "doctor": "What is wrong with this set-up, and how to mend it.",
    "train": "Train a net (needs the `train` extra).",
    "evaluate": "Measure a detector on labelled images.",
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Every command's name."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"scanner.commands.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"scanner.commands.{cmd_name}.command is no command")
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with their short helps, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; Ctrl-C is exit code 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ai-photo-scanner", prog_name="scanner")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Find AI-generated images in large collections.

    \b
    Examples:
      scanner scan ~/Pictures            list, judge and report on this machine
      scanner check photo.jpg            one file
      scanner report                     the latest scan once more
      scanner scan --help                every command explains itself

    Settings come from flags, then the environment (SCANNER_…), then the config file.
    """
    settings = file_settings()
    ctx.default_map = dict.fromkeys(COMMANDS, settings)


def main() -> None:
    """The entry point of the `scanner` script."""
    cli(prog_name="scanner")
