"""Redaction: a report without paths and names, for sharing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scanner.report.figures.compare import Comparison

if TYPE_CHECKING:
    from scanner.report.figures.build import Report

REDACTED = "(redacted)"


def redacted(report: Report | Comparison) -> Report | Comparison:
    """Return the report with its counts unchanged, and numbers instead of paths and names.

    Folders and hosts are numbered in the report's order. Examples of errors, whose texts may quote
    paths, are left out, and so are the named findings and the examples of a comparison. Names of
    generators stay: they are evidence.
    """
    if isinstance(report, Comparison):
        before, after = _redacted(report.before), _redacted(report.after)
        return replace(report, before=before, after=after, examples=())
    return _redacted(report)


def _redacted(report: Report) -> Report:
    hosts = {host.host_id: f"host {n}" for n, host in enumerate(report.hosts, 1)}
    folders = report.breakdown.folders
    names = {name: b"folder %d" % n if name else b"" for n, name in enumerate(folders.by_name, 1)}
    evaluation = report.evaluation
    return replace(
        report,
        scan=replace(report.scan, collection=REDACTED, root=REDACTED.encode()),
        hosts=tuple(
            replace(host, label=hosts[host.host_id], host_id=hosts[host.host_id])
            for host in report.hosts
        ),
        errors=tuple(replace(error, examples=()) for error in report.errors),
        settled_errors=tuple(replace(error, examples=()) for error in report.settled_errors),
        findings=(),
        breakdown=replace(
            report.breakdown,
            folders=replace(
                folders,
                parent=b"",
                by_name={names[name]: counts for name, counts in folders.by_name.items()},
            ),
        ),
        throughput=replace(
            report.throughput,
            by_host={hosts[host]: rates for host, rates in report.throughput.by_host.items()},
        ),
        evaluation=None
        if evaluation is None
        else replace(
            evaluation,
            by_folder={names[name]: matrix for name, matrix in evaluation.by_folder.items()},
        ),
    )
