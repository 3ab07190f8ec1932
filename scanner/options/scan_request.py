"""The options that say what is to be scanned and how; `enqueue` and `scan` both take them."""

from __future__ import annotations

import os
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scanner.exits import Failed
from scanner.options.common import second_stage_option, sound_models

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scanner.fleet.producer import Request
    from storage.records import Plan

F = TypeVar("F", bound="Callable[..., Any]")

_OPTIONS = (
    click.argument("folder", type=click.Path(exists=True, path_type=Path)),
    click.option("--name", help="What to call the collection.  [default: the folder's name]"),
    click.option(
        "--detectors",
        metavar="A,B",
        help="Use only these detectors.  [default: the one that suits each image]",
    ),
    second_stage_option("Ask this detector for a second opinion on doubtful images."),
    click.option("--rescan", is_flag=True, help="Judge every image again, changed or not."),
    click.option(
        "--retry-errors", is_flag=True, help="Judge only those again that ended in an error."
    ),
    click.option(
        "--labels-from-folders",
        is_flag=True,
        help="What lies in a folder FAKE, AI or GENERATED is known to be AI-made, in REAL or PHOTO "
        "not: the report then says how right the verdicts are.",
    ),
    click.option(
        "--labels",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The same from a CSV file with the columns path,label.",
    ),
    click.option("--include", multiple=True, metavar="GLOB", help="Only files that match."),
    click.option(
        "--exclude", multiple=True, metavar="GLOB", help="Leave out what matches, folders too."
    ),
    click.option("--hidden", is_flag=True, help="Take hidden files and folders too."),
    click.option(
        "--follow-symlinks",
        is_flag=True,
        help="Follow links that lead elsewhere in the folder; those that leave it are skipped.",
    ),
    click.option("--all-files", is_flag=True, help="Take files of any suffix: content decides."),
)


dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Only say how many images, bytes and batches."
)


def request_options(function: F) -> F:
    """Add the options; the command gets them as `asked`, for `make_request`."""

    @wraps(function)
    def with_asked(**given: Any) -> Any:  # noqa: ANN401 - whatever the command takes
        names = {
            "folder", "name", "detectors", "strong", "rescan", "retry_errors",
            "labels_from_folders", "labels", "include", "exclude", "hidden", "follow_symlinks",
            "all_files",
        }  # fmt: skip
        asked = {name: given.pop(name) for name in names}
        return function(asked=asked, **given)

    decorated: Any = with_asked
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def make_request(asked: Mapping[str, Any], owner: str) -> Request:
    """The producer's request; options that do not fit are one sentence each."""
    from scanner.fleet.producer import Request  # noqa: PLC0415 - `--help` must not cost its imports
    from scanner.listing.walk import WalkOptions  # noqa: PLC0415
    from storage.paths import shown  # noqa: PLC0415

    folder: Path = asked["folder"]
    if not folder.is_dir():
        name = shown(os.fsencode(folder))
        raise click.UsageError(f"{name} is a file: `scanner check {name}` looks at single ones")
    if asked["rescan"] and asked["retry_errors"]:
        raise click.UsageError("--rescan judges everything again, --retry-errors only errors")
    _require_patterns(asked)
    plan = plan_for(asked["detectors"], asked["strong"])
    root = folder.resolve()
    return Request(
        root=root,
        # Stores take no half characters: a name that is not UTF-8 is called as it is shown.
        name=shown(os.fsencode(asked["name"] or root.name)) or "root",
        plan=plan,
        owner=owner,
        walk=WalkOptions(
            include=asked["include"],
            exclude=asked["exclude"],
            hidden=asked["hidden"],
            follow_symlinks=asked["follow_symlinks"],
            all_files=asked["all_files"],
        ),
        label=_label(asked, root),
        rescan=asked["rescan"],
        retry_errors=asked["retry_errors"],
    )


def plan_for(detectors: str | None, second_stage: str | None = None) -> Plan:
    """The plan with the detectors of the options, see below, by one's own thresholds."""
    from scanner.options.thresholds import ThresholdError, with_own  # noqa: PLC0415

    try:
        return with_own(plan_by_cards(detectors, second_stage))
    except ThresholdError as error:
        raise Failed(str(error)) from error


def plan_by_cards(detectors: str | None, second_stage: str | None = None) -> Plan:
    """The plan with the detectors of `--detectors A,B` and `--strong C`, their models verified.

    By default those that ship: one of another's making speaks where it is named.

    Here and not by the workers: those would refuse the batches, and the scan would wait for ever.
    """
    from storage.records import PlanError  # noqa: PLC0415
    from workers.detectors import installed  # noqa: PLC0415
    from workers.pipeline.plan import make_plan  # noqa: PLC0415

    wanted = [name.strip() for name in (detectors or "").split(",") if name.strip()]
    if detectors is not None and not wanted:
        raise click.BadParameter("this names no detector", param_hint="--detectors")
    if second_stage in wanted:
        raise click.BadParameter(
            f"{second_stage} is one of --detectors: it would look at the same images twice",
            param_hint="--strong",
        )
    with sound_models():
        cards = installed.installed()
        ours = [name for name in cards if name in installed.NAMES and name != second_stage]
        try:
            plan = make_plan(cards, wanted or ours, second_stage)
        except PlanError as error:
            raise click.BadParameter(str(error), param_hint="--detectors") from error
        for name in plan.names():
            cards[name].verify()
    return plan


def _require_patterns(asked: Mapping[str, Any]) -> None:
    from scanner.listing.globs import compile_patterns  # noqa: PLC0415

    for option in ("include", "exclude"):
        try:
            compile_patterns(asked[option])
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=f"--{option}") from error


def _label(asked: Mapping[str, Any], root: Path) -> Callable[[bytes], bool | None] | None:
    from scanner.listing.labels import CsvLabels, LabelError, label_from_folders  # noqa: PLC0415

    if asked["labels"] and asked["labels_from_folders"]:
        raise click.UsageError("Labels come from folders or from a file, not from both")
    if asked["labels"]:
        try:
            return CsvLabels.read(asked["labels"], root)
        except LabelError as error:
            raise Failed(str(error)) from error
    if asked["labels_from_folders"]:
        return lambda path: label_from_folders(path, root)
    return None
