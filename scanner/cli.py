"""The `scanner` command: a group whose commands are loaded when they are called."""

from __future__ import annotations

import importlib
import io
import os
import select
import sys
from typing import TYPE_CHECKING, Any

import click
from click.exceptions import NoSuchCommand

from scanner.config import FileSettings
from scanner.exits import CLOSED_OUTPUT, INTERRUPTED, UNAVAILABLE
from storage.errors import InvalidInput, ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

# In the order in which a new user needs them; each is a module of `scanner.commands`.
COMMANDS = {
    "scan": "Scan a folder on this machine, from listing to report.",
    "watch": "Judge what comes into a folder, until stopped.",
    "check": "Judge single files, without queue and store.",
    "report": "Sum up a scan, or compare two.",
    "verdicts": "Print one row per image.",
    "review": "Show the reviews of a scan; draw a random sample.",
    "export": "Take findings to sidecars, files, immich, PhotoPrism or a list.",
    "serve": "Scan, and look at scans, in a browser.",
    "users": "Say who may open the pages, each with a password.",
    "status": "Show the progress of a scan.",
    "scans": "List or delete scans.",
    "enqueue": "List a folder and put its batches on the queue.",
    "hub": "Run the hub that other machines join.",
    "join": "Join a hub.",
    "worker": "Take batches from the queue until stopped.",
    "pause": "Stop a machine from taking work.",
    "unpause": "Let a machine take work again.",
    "resume": "Put the unfinished batches of a scan on the queue again.",
    "deadletters": "Show the messages that were put aside; send them again or drop them.",
    "cancel": "Stop a scan; its verdicts stay.",
    "detectors": "List the detectors, show a card, add a custom model.",
    "store": "Upgrade or back up the store.",
    "doctor": "Check this set-up and print how to fix it.",
    "calibrate": "Set thresholds by photos that you know to be real.",
    "learn": "Fit the detectors to the answers of reviewers.",
    "train": "Train a model (needs the `train` extra).",
    "evaluate": "Measure a detector on labelled images.",
    "bench": "Measure the speed of this machine.",
}

HELP_REQUESTED = "scanner.help_requested"


class _Unavailable(click.ClickException):
    exit_code = UNAVAILABLE


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the name of every command."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command of that name."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"scanner.commands.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"scanner.commands.{cmd_name}.command is not a click.Command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named first, and the rest; name those that are near."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            raise NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the commands with a line of help each, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the group's own arguments; remember whether only help is requested."""
        ctx.meta[HELP_REQUESTED] = not {"-h", "--help"}.isdisjoint(args)
        return super().parse_args(ctx, args)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - Click's
    ) -> click.Context:
        """Parse the arguments, and print help or the version where they ask for it."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except BrokenPipeError:
            _flush_or_drop()
            sys.exit(CLOSED_OUTPUT)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn its errors into sentences and exit codes.

        A closed pipe (`| head`) has an exit code of its own, and no message.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            if isinstance(error, OSError):
                # Asked of the pipe: the error may be that of a socket.
                is_closed_pipe = isinstance(error, BrokenPipeError) and _pipe_is_closed()
                _flush_or_drop()
                if is_closed_pipe:
                    ctx.exit(CLOSED_OUTPUT)
            told = _as_click_error(error)
            if told is None:
                raise
            raise told from error


def _as_click_error(error: Exception) -> click.ClickException | None:
    from scanner.error_messages import as_scanner_error  # noqa: PLC0415 - only after an error

    match as_scanner_error(error):
        case None:
            return None
        case InvalidInput() as told:
            return click.UsageError(str(told))
        case ServiceUnavailable() as told:
            return _Unavailable(str(told))
        case told:
            return click.ClickException(str(told))


def _pipe_is_closed() -> bool:
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _flush_or_drop() -> None:
    """Flush stdout, or drop what cannot be written: Python flushes once more when it exits."""
    # None where it was closed (`>&-`), whatever its type says.
    if not sys.stdout:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ai-photo-scanner", prog_name="scanner")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Find AI-generated images in large collections.

    \b
    Examples:
      scanner scan ~/Pictures            list, judge and report on this machine
      scanner check photo.jpg            one file
      scanner report                     the report of the latest scan
      scanner scan --help                the options of a command

    Settings come from flags, then the environment (SCANNER_…), then the config file.
    """
    if ctx.meta[HELP_REQUESTED]:
        # Help shows the defaults of scanner, not this user's, with a password in the broker's URL.
        return
    ctx.default_map = {name: FileSettings(lenient=name == "doctor") for name in COMMANDS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the `scanner` script, by default with the arguments of this process."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not UTF-8 gets escapes for what it cannot show.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli(arguments, prog_name="scanner")
