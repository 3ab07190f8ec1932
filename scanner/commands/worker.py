"""`scanner worker`: take batches until stopped."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from scanner.exits import INTERRUPTED, Failed
from scanner.options.common import (
    broker_option,
    concurrency_option,
    open_broker,
    open_store,
    refuse_before_subcommand,
    root_option,
    second_stage_option,
    store_option,
    without_password,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workers.hours import Hours
    from workers.settings import WorkerSettings
    from workers.sources.location import HubLocation

LONGEST_NAME = 100


def _a_name(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    if not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
        raise click.BadParameter(f"a name has 1 to {LONGEST_NAME} characters that can be shown")
    return value


def _hours(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> Hours | None:
    if value is None:
        return None
    from workers.hours import parse_hours

    try:
        return parse_hours(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} are no hours: 22-7, or 22:30-7:15") from error


def _litert(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value not in (None, "litert"):
        raise click.BadParameter(
            f"invalid runtime {value!r}: expected litert (TensorFlow was removed in 0.2.0)"
        )


# Accepted for the sake of units and scripts of 0.1, where there was a second runtime.
runtime_option = click.option("--runtime", callback=_litert, expose_value=False, hidden=True)


@click.group(invoke_without_command=True)
@store_option
@broker_option
@root_option
@concurrency_option
@click.option(
    "--name",
    default=socket.gethostname,
    show_default="the host's name",
    callback=_a_name,
    help="What reports call this machine.",
)
@click.option(
    "--hours",
    callback=_hours,
    metavar="FROM-TO",
    help="When it may take work, by this machine's clock: 22-7, 22:30-7:15.",
)
@second_stage_option("Give second opinions by this detector, too, where a scan asks for them.")
@click.option(
    "--cool", is_flag=True, help="Work with fewer processes while the board is slowed down by heat."
)
@runtime_option
@click.option("--verbose", is_flag=True, help="Log each batch.")
@click.option("--keeper/--no-keeper", default=True, hidden=True)
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401
    """Take batches from the queue and judge their images, until stopped.

    Ctrl-C, or SIGTERM, ends it after the images at work; what is left of their batches goes back
    to the queue. On a machine that has joined a hub it needs no options.

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
    from scanner.config import parse_roots, state_dir
    from scanner.processes.logs import log_to_stderr
    from workers.settings import WorkerSettings

    log_to_stderr(verbose=given["verbose"], host=given["name"])
    place = _place(ctx, given["broker"], given["store"])
    settings = WorkerSettings(
        broker_url=place.broker_url,
        store_url=place.store_url,
        store_id=place.store_id,
        state_dir=state_dir(),
        concurrency=given["concurrency"],
        label=given["name"],
        roots=parse_roots(given["roots"]),
        share=place.share,
        hours=given["hours"],
        strong=given["strong"],
        cool=given["cool"],
    )
    with _sigterm_ends_it():
        _look_around(settings, measures=given["keeper"])
        with _rescuer_beside(settings, wanted=given["keeper"]) as look_after:
            ctx.exit(_work(settings, look_after))


@command.command()
@root_option
@click.option("--concurrency", type=click.IntRange(1), help="Processes that judge images.")
@click.option("--name", callback=_a_name, help="What reports call this machine.")
@click.option("--hours", callback=_hours, metavar="FROM-TO", help="When it may take work.")
@runtime_option
@click.option("--strong", metavar="DETECTOR", help="Give second opinions by this detector, too.")
@click.option("--cool", is_flag=True, help="Fewer processes while the board is slowed down.")
@click.option("--user", "of_user", is_flag=True, help="A service of yours, not the system's.")
@click.option("--print", "shows", is_flag=True, help="Show the unit and change nothing.")
def install(*, roots: tuple[str, ...], of_user: bool, shows: bool, **given: Any) -> None:  # noqa: ANN401
    """Have systemd start a worker whenever this machine runs.

    Of the system it runs as you, or as whoever called sudo; that user has to have joined a hub. It
    is started again when it fails, gives its work back when it is stopped, and keeps to 80 % of the
    memory.

    \b
    Examples:
      sudo scanner worker install --root photos=/mnt/nas/photos
      scanner worker install --user --hours 22-7
      scanner worker install --print
    """
    from scanner.config import parse_roots
    from scanner.fleet.service import Service, ServiceError
    from workers.sources.location import UrlLocation

    arguments: list[str] = []
    for name, place in parse_roots(roots).items():
        if isinstance(place, UrlLocation) and place.has_password():
            raise click.BadParameter(
                f"the password in {place} would stand in the unit: use a key instead",
                param_hint="--root",
            )
        where = place.url if isinstance(place, UrlLocation) else place
        arguments += ["--root", f"{name}={where}"]
    for option in ("concurrency", "name", "hours", "strong"):
        if given[option] is not None:
            arguments += [f"--{option}", str(given[option])]
    if given["cool"]:
        arguments.append("--cool")
    service = Service(arguments, of_user)
    try:
        if shows:
            click.echo(service.unit(), nl=False)
            return
        service.install()
    except ServiceError as error:
        raise Failed(str(error)) from error
    click.echo(f"{service.file} is enabled and runs")


@command.command()
@click.option("--user", "of_user", is_flag=True, help="The service of yours, not the system's.")
def uninstall(*, of_user: bool) -> None:
    """Stop the service that `install` made, and remove it.

    \b
    Example:
      sudo scanner worker uninstall
    """
    from scanner.fleet.service import Service, ServiceError

    service = Service(of_user=of_user)
    try:
        service.uninstall()
    except ServiceError as error:
        raise Failed(str(error)) from error
    click.echo(f"{service.file} is removed")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a worker's batches come from, and the store that its verdicts go to if it has one."""

    broker_url: str
    store_url: str | None
    store_id: str
    share: HubLocation | None = None


def _place(ctx: click.Context, broker: str, store: str) -> _Place:
    """As named; what is not named is the hub's that this machine has joined, if it has."""
    from scanner.fleet.hub_config import JoinError, the_hub
    from workers.sources.location import HubLocation

    try:
        hub = the_hub()
    except JoinError as error:
        raise Failed(str(error)) from error
    named = [name for name in ("broker", "store") if not _is_default(ctx, name)]
    if hub is not None and not named:
        share = None
        if hub.share is not None and hub.token is not None:
            share = HubLocation(hub.share, hub.token, hub.cert, collection="")
        return _Place(broker, hub.store_url, hub.store, share)
    with open_store(store, make=hub is None) as opened:
        # Batches are kept by store: on one's broker there are none of another's.
        if hub is not None and len(named) == 1 and opened.identity != hub.store:
            raise click.UsageError(
                f"this machine has joined a hub, and only a {named[0]} is named that is not the "
                "hub's: name broker and store, or neither"
            )
        return _Place(broker, store, opened.identity)


def _is_default(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) in (None, click.core.ParameterSource.DEFAULT)


def _look_around(settings: WorkerSettings, *, measures: bool) -> None:
    """Say what the worker will do, and wait or fail where it had better not.

    The worker of a `scan` measures nothing and begins at once: its user sees how fast it is.
    """
    from scanner.fleet.preflight import NotFit, preflight, speed_line

    tell = partial(click.echo, err=True)
    processes = "1 process" if settings.concurrency == 1 else f"{settings.concurrency} processes"
    tell(
        f"{settings.label} works with {processes} on the batches of "
        f"{without_password(settings.broker_url)}; Ctrl-C stops it after the images at work"
    )
    try:
        with open_broker(settings.broker_url, settings.store_id) as broker:
            preflight(broker.namespace, settings, tell)
        if measures:
            tell(speed_line())
    except NotFit as error:
        raise Failed(str(error)) from error


@contextmanager
def _sigterm_ends_it() -> Iterator[None]:
    """Until Celery looks after signals there is no work to be given back: end, in good order."""

    def end(*_: object) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _work(settings: WorkerSettings, look_after: Callable[[], object]) -> int:
    """Run Celery's worker in this process; its exit code, INTERRUPTED after a Ctrl-C.

    `look_after` is called every two seconds.
    """
    import warnings

    from celery.platforms import SecurityWarning
    from celery.signals import setup_logging, worker_shutting_down

    from scanner.processes.supervisor import periodic_step
    from workers.batch.tasks import make_worker_app
    from workers.host.availability import queues_of

    # It warns root of what a message may run; ours are JSON, and checked before they are used.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # Where somebody listens Celery sets up no logging: it would undo --verbose.
    setup_logging.connect(lambda **_: None, weak=False)
    app = make_worker_app(settings)
    app.steps["consumer"].add(periodic_step(look_after))
    worker = app.Worker(
        hostname=f"{settings.label}-{os.getpid()}@scanner",
        queues=queues_of(settings),
        pool="prefork",
        concurrency=settings.concurrency,
        loglevel="WARNING",
        # No banner of Celery's: the line above it says what matters.
        quiet=True,
        # Workers need not know of each other.
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
    )
    signals: list[str] = []

    def remember(sig: str, **_: object) -> None:
        signals.append(sig)

    worker_shutting_down.connect(remember, weak=False)
    worker.start()
    # Celery's own code for a Ctrl-C is that of a failure.
    return INTERRUPTED if "SIGINT" in signals else int(worker.exitcode or 0)


@contextmanager
def _rescuer_beside(settings: WorkerSettings, *, wanted: bool) -> Iterator[Callable[[], object]]:
    """A keeper as a process of its own: threads and a pool that forks do not go together.

    Gives what has to be called now and then, so that one that ended is started again.
    """
    if not wanted or settings.store_url is None:
        yield lambda: None
        return
    from scanner.processes.supervisor import SupervisedProcess

    module = ["scanner.fleet.rescuer", settings.label]
    with SupervisedProcess(
        "the keeper", module, settings.broker_url, settings.store_url
    ) as rescuer:
        yield rescuer.restart_if_exited
