"""The options that several commands share, and what they open."""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from scanner.config import DEFAULT_BROKER, default_store
from scanner.exits import Failed, Unavailable
from storage.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery

    from scanner.fleet.hub_config import Hub
    from storage.database.store import Store
    from workers.broker.namespace import Namespace

F = TypeVar("F", bound="Callable[..., Any]")

# What is shown in the place of a URL that might be a password in part.
HIDDEN = "(a URL that is not shown)"


def refuse_before_subcommand(ctx: click.Context) -> None:
    """An option of a group that is named before a subcommand would be dropped: say so instead."""
    for parameter in ctx.command.params:
        given = ctx.get_parameter_source(parameter.name or "")
        if ctx.invoked_subcommand is not None and given is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[0]} comes after `{ctx.invoked_subcommand}`, not before it"
            )


def _default_store() -> str:
    """Who runs a hub means its store, wherever that is; anyone else one of his own."""
    hub = _hub()
    return default_store() if hub is None or hub.store_url is None else hub.store_url


def _hub() -> Hub | None:
    from scanner.fleet.hub_config import JoinError, the_hub  # noqa: PLC0415 - that `--help` should not cost

    try:
        return the_hub()
    except JoinError as error:
        raise Failed(str(error)) from error


store_option = click.option(
    "--store",
    envvar="SCANNER_STORE_URL",
    show_envvar=True,
    default=_default_store,
    show_default="the hub's on the hub's own machine, else store.db in your data folder",
    metavar="URL|FILE",
    help="Where verdicts are kept: an SQLite file or a postgresql:// URL.",
)


def second_stage_option(what: str) -> Callable[[F], F]:
    """The option that names the detector of second opinions; `what` it does in this command."""
    return click.option("--strong", metavar="DETECTOR", callback=_a_strong_one, help=what)


def _a_strong_one(
    _ctx: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    """A detector that is here and looks at pixels, its model verified."""
    if value is None:
        return None
    from workers.detectors import installed  # noqa: PLC0415 - as below

    with sound_models():
        cards = installed.installed()
        able = sorted(name for name, card in cards.items() if card.input is not None)
        if value not in able:
            raise click.BadParameter(
                f"there is no detector {value!r} here: choose from {', '.join(able)}, or add one "
                "by `scanner detectors`"
            )
        cards[value].verify()
    return value


@contextmanager
def sound_models() -> Iterator[None]:
    """Say in one sentence what is wrong with a detector's card or model, and what to do."""
    from workers.detectors.card import CardError  # noqa: PLC0415 - as below

    try:
        yield
    except CardError as error:
        raise Failed(f"{error}: install scanner again, or add the detector again") from error


def hub_broker() -> str | None:
    """The broker of the hub that this machine has joined; None where it has joined none."""
    hub = _hub()
    return None if hub is None else hub.broker_url()


def _default_broker() -> str:
    return hub_broker() or DEFAULT_BROKER


broker_option = click.option(
    "--broker",
    envvar="SCANNER_BROKER_URL",
    show_envvar=True,
    default=_default_broker,
    show_default=f"the hub's that this machine has joined, else {DEFAULT_BROKER}",
    metavar="URL",
    help="The Redis that batches wait in.",
)


class FiniteRange(click.FloatRange):
    """Numbers in a range: to Click NaN is within any, and infinity within those without an end."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as Click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """The number."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} is no number in this range", param, ctx)
        return found


class _Pair(click.types.StringParamType):
    """A pair that holds a path: several are split as paths are, not at blanks."""

    envvar_list_splitter = os.pathsep


root_option = click.option(
    "--root",
    "roots",
    type=_Pair(),
    multiple=True,
    envvar="SCANNER_ROOTS",
    show_envvar=True,
    metavar="NAME=PATH",
    help="Where a collection lies for this machine, if elsewhere than where it was enqueued: a "
    "folder, or a URL (sftp://…, s3://…, http://…; needs the extra `remote`). "
    f"Repeatable; in the environment the pairs are split at {os.pathsep!r}.",
)


def _max_processes() -> int:
    from workers.host.capacity import max_processes  # noqa: PLC0415 - for those who work

    return max_processes()


concurrency_option = click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=_max_processes,
    show_default="what the cores and the memory allow",
    help="Processes that judge images.",
)

output_option = click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it there, not to stdout; there as a whole or not at all.",
)

fail_on_option = click.option(
    "--fail-on",
    type=click.Choice(["ai"]),
    help="Exit with 5 where an image is called AI-made.",
)


def _one_form(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - Click's
    others = {"as_json", "json_lines"} - {parameter.name}
    # Whichever of them comes second sees the first.
    if value and any(ctx.params.get(name) for name in others):
        raise click.UsageError("--json and --json-lines are two forms of the same: name one")
    return value


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_one_form, help="Print one JSON object."
)

json_lines_option = click.option(
    "--json-lines",
    is_flag=True,
    callback=_one_form,
    help="Print events as they come, one JSON object a line: status, error, and last a summary "
    "with all that --json prints.",
)


def scan_argument(function: F) -> F:
    """The optional argument SCAN, passed as `scan_id`."""
    return click.argument("scan_id", metavar="[SCAN]", type=click.IntRange(1), required=False)(
        function
    )


@contextmanager
def open_store(url: str, *, make: bool = False) -> Iterator[Store]:
    """The store at a URL, closed afterwards; what is wrong with it becomes one sentence.

    Only who has something to write asks that an SQLite file be made.
    """
    from storage.database.store import Store  # noqa: PLC0415 - 0.3 s that `--help` should not cost

    try:
        store = Store.open(url, make=make)
        try:
            yield store
        finally:
            store.close()
    except StoreUnavailable as error:
        raise Unavailable(str(error)) from error
    except StoreError as error:
        raise Failed(str(error)) from error


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that answered: Celery's way to a store's queue in it, and Redis' own."""

    url: str
    app: Celery
    namespace: Namespace


@contextmanager
def open_broker(url: str, store_id: str) -> Iterator[Broker]:
    """A store's part of the broker at a URL; exit code 4 where it is away, now or later on."""
    import redis  # noqa: PLC0415 - as above
    from kombu.exceptions import OperationalError  # noqa: PLC0415

    from workers.broker.app import make_app, make_redis  # noqa: PLC0415
    from workers.broker.namespace import Namespace  # noqa: PLC0415

    try:
        client = make_redis(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--broker") from error
    try:
        client.ping()
        yield Broker(url, make_app(url, store_id), Namespace(client, store_id))
    except redis.AuthenticationError as error:
        raise Unavailable(
            f"The broker {without_password(url)} refuses us: {words(error)}"
        ) from error
    except (redis.RedisError, OperationalError) as error:
        raise Unavailable(
            f"The broker {without_password(url)} cannot be used: {words(error)}. Start a Redis "
            "there or name another with --broker; `scanner scan` needs none"
        ) from error
    finally:
        client.close()


def without_password(url: str) -> str:
    """A URL that can be shown: who it is for, and its query, may hold a password and are left out.

    Nothing is shown of a URL that can be read in several ways.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return HIDDEN
    # A password with a slash in it ends the host's part early, and would be shown as a path.
    if parts.netloc and "@" in parts.path + parts.query + parts.fragment:
        return HIDDEN
    _, at, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{'…@' if at else ''}{host}{parts.path}"


def words(error: Exception) -> str:
    """What an error says, to stand within a sentence."""
    return str(error).rstrip(".")
