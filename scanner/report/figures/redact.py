"""A report without paths and names, for handing on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scanner.report.figures.compare import Comparison

if TYPE_CHECKING:
    from scanner.report.figures.build import Report

REDACTED = "(redacted)"


def redacted(found: Report | Comparison) -> Report | Comparison:
    """The report with its counts as they are, and every path and name told by a number.

    Folders and hosts are numbered in the order in which the report has them; examples of errors,
    whose sentences may quote paths, are left out, and of two scans the examples of what changed.
    Names of generators stay: they are evidence.
    """
    if isinstance(found, Comparison):
        before, after = _redacted(found.before), _redacted(found.after)
        return replace(found, before=before, after=after, examples=())
    return _redacted(found)


def _redacted(report: Report) -> Report:
    hosts = {one.host_id: f"host {n}" for n, one in enumerate(report.hosts, 1)}
    folders = report.breakdown.folders
    names = {name: b"folder %d" % n if name else b"" for n, name in enumerate(folders.by_name, 1)}
    truth = report.truth
    return replace(
        report,
        scan=replace(report.scan, collection=REDACTED, root=REDACTED.encode()),
        hosts=tuple(
            replace(one, label=hosts[one.host_id], host_id=hosts[one.host_id])
            for one in report.hosts
        ),
        errors=tuple(replace(one, examples=()) for one in report.errors),
        breakdown=replace(
            report.breakdown,
            folders=replace(
                folders,
                parent=b"",
                by_name={names[name]: one for name, one in folders.by_name.items()},
            ),
        ),
        course=replace(
            report.course,
            by_host={hosts[host]: rates for host, rates in report.course.by_host.items()},
        ),
        truth=None
        if truth is None
        else replace(truth, by_folder={names[name]: one for name, one in truth.by_folder.items()}),
    )
