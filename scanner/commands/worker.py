"""`scanner worker`: take batches until stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from scanner.exits import DONE, FAILED
from scanner.options.broker import broker_option
from scanner.options.output import json_option
from scanner.options.parameters import FiniteRange, refuse_before_subcommand
from scanner.options.record import as_record
from scanner.options.store import store_option
from scanner.options.work import (
    concurrency_option,
    cool_option,
    host_name_option,
    hours_option,
    name_option,
    root_option,
    runtime_option,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workers.sources.location import SourceLocation
    from workers.working_hours import Hours

DEFAULT_GIVE_UP_MINUTES = 10.0

# Of a heartbeat, in seconds; a broker that hangs is noticed after 15.
DEFAULT_MAX_AGE = 60.0
_SAID = {
    "works": "works",
    "silent": "runs, and has not reached its broker for {seconds} s",
    "hung": "hangs: it has done nothing for {seconds} s",
    "dead": "is gone without having stopped; its last heartbeat was {seconds} s ago",
}

user_option = click.option(
    "--user", "of_user", is_flag=True, help="A service of yours, not the system's."
)


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Where a worker's work comes from, and how it works."""

    store: str
    broker: str
    roots: Mapping[str, SourceLocation]
    concurrency: int
    name: str
    hours: Hours | None
    cool: bool
    give_up_after: float
    verbose: bool
    rescuer: bool


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """How a worker that systemd starts works."""

    roots: Mapping[str, SourceLocation]
    concurrency: int | None
    name: str | None
    hours: Hours | None
    cool: bool


@click.group(invoke_without_command=True)
@store_option
@broker_option
@root_option
@concurrency_option
@host_name_option
@hours_option
@cool_option
@runtime_option
@click.option(
    "--give-up-after",
    type=FiniteRange(0),
    default=DEFAULT_GIVE_UP_MINUTES,
    show_default=True,
    metavar="MINUTES",
    help="How long a collection may be missing from its folder, or be unknown to all machines, "
    "before its batches are given up.",
)
@click.option("--verbose", is_flag=True, help="Log each batch.")
# The second name is that of 0.1.
@click.option("--rescuer/--no-rescuer", "--keeper/--no-keeper", default=True, hidden=True)
@as_record(WorkerOptions)
@click.pass_context
def command(ctx: click.Context, *, options: WorkerOptions) -> None:
    """Take batches from the queue and judge their images, until stopped.

    Ctrl-C or SIGTERM stops it after the images at work; the rest of their batches goes back to
    the queue. On a machine that has joined a hub it needs no options.

    \b
    Examples:
      scanner worker
      scanner worker --broker redis://:secret@laptop:6379/0 --store postgresql://scanner@laptop/scanner
      scanner worker --root photos=/mnt/nas/photos
      SCANNER_BROKER_URL=… SCANNER_STORE_URL=… scanner worker --concurrency 2
    """
    refuse_before_subcommand(ctx)
    if ctx.invoked_subcommand is not None:
        return
    from scanner.config import state_dir
    from scanner.fleet.worker import connection, run_worker
    from scanner.processes.logs import log_to_stderr
    from workers.limits import Limits
    from workers.settings import WorkerSettings

    log_to_stderr(verbose=options.verbose, host=options.name)
    named = frozenset(name for name in ("broker", "store") if not _is_default(ctx, name))
    source = connection(options.broker, options.store, named, state_dir())
    settings = WorkerSettings(
        broker_url=source.broker_url,
        store_url=source.store_url,
        store_id=source.store_id,
        state_dir=state_dir(),
        concurrency=options.concurrency,
        label=options.name,
        roots=options.roots,
        share=source.share,
        membership=source.membership,
        hours=options.hours,
        cool=options.cool,
        limits=Limits(give_up_seconds=60 * options.give_up_after),
    )
    ctx.exit(run_worker(settings, partial(click.echo, err=True), rescuer=options.rescuer))


def _is_default(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) in (None, click.core.ParameterSource.DEFAULT)


@command.command()
@root_option
@click.option("--concurrency", type=click.IntRange(1), help="Processes that judge images.")
@name_option()
@hours_option
@runtime_option
@cool_option
@user_option
@click.option("--print", "print_unit", is_flag=True, help="Show the unit and change nothing.")
@as_record(ServiceOptions)
def install(*, options: ServiceOptions, of_user: bool, print_unit: bool) -> None:
    """Let systemd start a worker whenever this machine runs.

    The system's service runs as you, or as the user who called sudo; this user has to have joined
    a hub. It is restarted when it fails, gives its work back when it is stopped, and uses at most
    80 % of the memory.

    \b
    Examples:
      sudo scanner worker install --root photos=/mnt/nas/photos
      scanner worker install --user --hours 22-7
      scanner worker install --print
    """
    from scanner.fleet.service import Service

    service = Service(_arguments(options), of_user)
    if print_unit:
        click.echo(service.unit(), nl=False)
        return
    service.install()
    click.echo(f"{service.file} is enabled and started")


def _arguments(options: ServiceOptions) -> list[str]:
    from scanner.config import root_arguments
    from workers.sources.location import UrlLocation

    for source in options.roots.values():
        if isinstance(source, UrlLocation) and source.has_password():
            raise click.BadParameter(
                f"the password in {source} would be readable in the unit: use a key instead",
                param_hint="--root",
            )
    arguments = root_arguments(options.roots)
    for name in ("concurrency", "name", "hours"):
        value = getattr(options, name)
        if value is not None:
            arguments += [f"--{name}", str(value)]
    return [*arguments, "--cool"] if options.cool else arguments


@command.command()
@click.option(
    "--max-age",
    type=FiniteRange(0),
    default=DEFAULT_MAX_AGE,
    show_default=True,
    metavar="SECONDS",
    help="How long a worker may be without a heartbeat, or without its broker.",
)
@json_option
@click.pass_context
def health(ctx: click.Context, *, max_age: float, as_json: bool) -> None:
    """Check whether your workers on this machine, or in this container, work.

    Tells workers that are gone, that hang, and that do not reach their broker. Asks neither broker
    nor store and loads no model, so it may run often. A worker that is paused works.

    \b
    Examples:
      scanner worker health
      scanner worker health --max-age 120 --json

    Exit codes: 0 all workers work, 1 one does not, or there is none.
    """
    from scanner.config import state_dir
    from workers.host.heartbeat_file import Health, read_health

    workers = read_health(state_dir(), max_age)
    if as_json:
        click.echo(json.dumps([asdict(worker) for worker in workers]))
    else:
        for worker in workers:
            click.echo(
                f"{worker.name} (process {worker.pid}) {_SAID[worker.health]}".format(
                    seconds=f"{worker.seconds:,.0f}"
                )
            )
        if not workers:
            click.echo("no worker runs on this machine")
    does_work = bool(workers) and all(one.health is Health.WORKS for one in workers)
    ctx.exit(DONE if does_work else FAILED)


@command.command()
@user_option
def uninstall(*, of_user: bool) -> None:
    """Stop and remove the service that `install` made.

    \b
    Example:
      sudo scanner worker uninstall
    """
    from scanner.fleet.service import Service

    service = Service(for_user=of_user)
    service.uninstall()
    click.echo(f"{service.file} is removed")
