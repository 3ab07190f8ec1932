"""Charts as inline SVG, drawn by leather.

A colour is a CSS variable of the page, so one chart serves light and dark mode and paper. Series
also differ by their dashes, for colour-blind readers. Each chart is as wide as a phone's screen and
never scaled, so that its text keeps its size.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import leather
from leather import theme
from markupsafe import Markup, escape

from scanner.language import gettext, marked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scanner.report.figures.build import Report
    from storage.reads.folders import OutcomeCounts
    from workers.evaluation.curves import Curves

WIDTH, HEIGHT = 340, 260
TENTHS = [0, 0.2, 0.4, 0.6, 0.8, 1.0]
DASHES = ("none", "7 4", "2 3", "10 3 2 3", "4 2", "1 3")
# Hosts that are drawn.
LINES = len(DASHES)
# Labels of the month axis at most.
MONTHS_NAMED = 4
# Units of the time axis: the first of which the duration has at least two.
UNITS = (
    (24 * 3600.0, marked("days since the start")),
    (3600.0, marked("hours since the start")),
    (60.0, marked("minutes since the start")),
    (1.0, marked("seconds since the start")),
)
# leather reads its settings from its module, for one chart at a time.
_theme = threading.Lock()
THEME = {
    "background_color": "none",
    "margin": 0.04,
    "axis_title_color": "currentColor",
    "axis_title_gap": 18,
    "label_color": "currentColor",
    "tick_color": "var(--grid)",
    "zero_color": "var(--axis)",
    "legend_font_char_height": 0,
    **{f"{part}_font_family": "inherit" for part in ("axis_title", "tick")},
    **{f"{part}_font_size": 12 for part in ("axis_title", "tick")},
    **{f"{part}_font_char_height": 12 for part in ("axis_title", "tick")},
    **{f"{part}_font_char_width": 7 for part in ("axis_title", "tick")},
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart; without a name it is not in the legend."""

    name: str
    points: Sequence[tuple[Any, float]]
    colour: str
    dash: str = "none"
    width: float = 2


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing, its title, and the lines of its legend."""

    title: str
    svg: Markup
    legend: tuple[Line, ...]


class _Stroke(leather.Line):  # type: ignore[misc]
    """A line outside leather's legend, which does not wrap on a phone."""

    def legend_to_svg(self, *_: object) -> list[Any]:
        """Return no legend."""
        return []


def curve_charts(curves: Curves) -> list[Chart]:
    """Return the ROC, precision-recall and reliability charts, as far as defined."""
    even = Line("", [(0, 0), (1, 1)], "var(--axis)", "2 3", 1)
    charts = []
    if curves.roc:
        lines = [
            _named(even, gettext("guessing")),
            Line(gettext("scores"), curves.roc, "var(--line-1)"),
        ]
        axes = _unit_axes(gettext("false-positive rate"), gettext("recall"))
        charts.append(_drawn(gettext("ROC curve"), lines, axes))
    if curves.precision_recall:
        lines = [Line(gettext("scores"), curves.precision_recall, "var(--line-1)")]
        charts.append(
            _drawn(
                gettext("Precision-recall curve"),
                lines,
                _unit_axes(gettext("recall"), gettext("precision")),
            )
        )
    if curves.reliability:
        points = [(each.score, each.share) for each in curves.reliability]
        bars = [
            Line("", [(each.score, bound) for bound in each.interval], "var(--line-1)", width=1)
            for each in curves.reliability
        ]
        lines = [
            _named(even, gettext("perfectly calibrated")),
            Line(
                gettext("measured, with {certainty} intervals").format(certainty="95 %"),
                points,
                "var(--line-1)",
            ),
            *bars,
        ]
        axes = _unit_axes(gettext("score"), gettext("share that is FAKE"))
        charts.append(_drawn(gettext("Reliability"), lines, axes))
    return charts


def months_chart(months: Mapping[str, OutcomeCounts]) -> Chart | None:
    """Return the shares of `ai` and `unsure` by month of the file; None of a single month."""
    known = {_date(month): counts for month, counts in months.items() if month[:1].isdigit()}
    if len(known) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    generated = [(day, 100 * counts.ai / counts.images) for day, counts in known.items()]
    unsure = [(day, 100 * counts.unsure / counts.images) for day, counts in known.items()]
    lines = [
        Line(gettext("AI-generated"), generated, "var(--ai)"),
        Line(gettext("unsure"), unsure, "var(--unsure)", DASHES[1]),
    ]
    top = max(1.0, *(point[1] for line in lines for point in line.points))

    def axes(chart: Any) -> None:  # noqa: ANN401 - leather has no types
        chart.add_y_scale(0, top)
        chart.add_y_axis(
            name=gettext("{unit} of the month's images").format(unit="%"), tick_formatter=_short
        )
        days = sorted(known)
        chart.add_x_axis(
            ticks=days[:: -(-len(days) // MONTHS_NAMED)],
            tick_formatter=lambda day, *_: f"{day:%Y-%m}",
        )

    return _drawn(gettext("Flagged images by month of the file"), lines, axes)


def throughput_chart(report: Report) -> Chart | None:
    """Return images per second over time, a line a host; None of a very short scan."""
    steps, step = report.throughput.by_host, report.throughput.step_seconds
    length = step * max((len(rates) for rates in steps.values()), default=0)
    if length < 2 * step or not length:
        return None
    unit, name = next(each for each in UNITS if length >= 2 * each[0] or each[0] == 1)
    labels = {host.host_id: host.label for host in report.hosts}
    busiest = sorted(steps.items(), key=lambda item: -sum(item[1]))[:LINES]
    lines = [
        Line(
            labels.get(host, host),
            [((n + 0.5) * step / unit, rate) for n, rate in enumerate(rates)],
            f"var(--line-{place + 1})",
            DASHES[place],
        )
        for place, (host, rates) in enumerate(busiest)
    ]

    def axes(chart: Any) -> None:  # noqa: ANN401
        chart.add_x_scale(0, length / unit)
        chart.add_y_scale(0, max(1.0, *(point[1] for line in lines for point in line.points)))
        chart.add_x_axis(name=gettext(name), tick_formatter=_short)
        chart.add_y_axis(name=gettext("images/s"), tick_formatter=_short)

    return _drawn(gettext("Images per second, by host"), lines, axes)


def _named(line: Line, name: str) -> Line:
    return Line(name, line.points, line.colour, line.dash, line.width)


def _unit_axes(across: str, up: str) -> Callable[[Any], None]:
    def axes(chart: Any) -> None:  # noqa: ANN401
        chart.add_x_scale(0, 1)
        chart.add_y_scale(0, 1)
        chart.add_x_axis(ticks=TENTHS, tick_formatter=_short, name=across)
        chart.add_y_axis(ticks=TENTHS, tick_formatter=_short, name=up)

    return axes


def _short(value: float, _at: int, _count: int) -> str:
    return f"{float(value):g}" if value < 10_000 else f"{float(value):,.0f}"  # noqa: PLR2004


def _date(month: str) -> date:
    return date.fromisoformat(f"{month}-01")


def _drawn(title: str, lines: Sequence[Line], axes: Callable[[Any], None]) -> Chart:
    with _theme:
        before = {name: getattr(theme, name) for name in THEME}
        vars(theme).update(THEME)
        try:
            chart = leather.Chart()
            for line in lines:
                series = leather.Series(list(line.points), name=line.name)
                chart.add_series(series, _Stroke(line.colour, line.width, line.dash))
            axes(chart)
            svg = str(chart.to_svg(width=WIDTH, height=HEIGHT))
        finally:
            vars(theme).update(before)
    # leather's output is escaped XML of numbers and of texts from this module.
    named = f'<svg role="img" aria-label="{escape(title)}" '
    return Chart(
        title,
        Markup(svg.replace("<svg ", named, 1)),  # noqa: S704
        tuple(line for line in lines if line.name),
    )
