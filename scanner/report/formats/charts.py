"""Charts as inline SVG, drawn by leather; their colours are the page's own.

A colour here is a CSS variable: so one chart does for light and dark and for paper. Series differ
by their dashes as well, for those who cannot tell the colours apart. Each chart is as wide as a
phone's screen and is never scaled, so its text is always as large as it is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import leather
from leather import theme
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scanner.report.figures.build import Report
    from storage.reads.breakdown import Told
    from workers.evaluation.curves import Curves

WIDTH, HEIGHT = 340, 260
TENTHS = [0, 0.2, 0.4, 0.6, 0.8, 1.0]
DASHES = ("none", "7 4", "2 3", "10 3 2 3", "4 2", "1 3")
# Hosts that have a line of their own.
LINES = len(DASHES)
# Months that the axis names at most.
MONTHS_NAMED = 4
# What time is shown in: from twice a unit on.
UNITS = ((24 * 3600.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
# leather's settings are those of its module.
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
    """A line of a chart; one without a name is not in the legend."""

    name: str
    points: Sequence[tuple[Any, float]]
    colour: str
    dash: str = "none"
    width: float = 2


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and the lines that its legend names; `title` says what it shows."""

    title: str
    svg: Markup
    legend: tuple[Line, ...]


class _Stroke(leather.Line):  # type: ignore[misc]
    """A line that leather's own legend, which does not wrap on a phone, leaves out."""

    def legend_to_svg(self, *_: object) -> list[Any]:
        """Nothing."""
        return []


def curve_charts(curves: Curves) -> list[Chart]:
    """ROC, precision over recall, and reliability; those that are defined."""
    even = Line("", [(0, 0), (1, 1)], "var(--axis)", "2 3", 1)
    charts = []
    if curves.roc:
        lines = [_named(even, "guessing"), Line("scores", curves.roc, "var(--line-1)")]
        axes = _unit_axes("REAL images accused", "FAKE images found")
        charts.append(_drawn("ROC curve", lines, axes))
    if curves.precision_recall:
        lines = [Line("scores", curves.precision_recall, "var(--line-1)")]
        charts.append(_drawn("Precision over recall", lines, _unit_axes("recall", "precision")))
    if curves.reliability:
        points = [(one.score, one.share) for one in curves.reliability]
        bars = [
            Line("", [(one.score, end) for end in one.interval], "var(--line-1)", width=1)
            for one in curves.reliability
        ]
        lines = [
            _named(even, "promised"),
            Line("found, with 95 % intervals", points, "var(--line-1)"),
            *bars,
        ]
        axes = _unit_axes("score", "share that is FAKE")
        charts.append(_drawn("Reliability", lines, axes))
    return charts


def months_chart(told: Mapping[str, Told]) -> Chart | None:
    """The share of AI-made and of doubtful images by the month of the file; None of one month."""
    known = {_date(month): one for month, one in told.items() if month[:1].isdigit()}
    if len(known) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    made = [(day, 100 * one.ai / one.images) for day, one in known.items()]
    doubtful = [(day, 100 * one.unsure / one.images) for day, one in known.items()]
    lines = [
        Line("AI-made", made, "var(--ai)"),
        Line("doubtful", doubtful, "var(--unsure)", DASHES[1]),
    ]
    top = max(1.0, *(point[1] for line in lines for point in line.points))

    def axes(chart: Any) -> None:  # noqa: ANN401 - leather has no types
        chart.add_y_scale(0, top)
        chart.add_y_axis(name="% of the month's images", tick_formatter=_short)
        days = sorted(known)
        chart.add_x_axis(
            ticks=days[:: -(-len(days) // MONTHS_NAMED)],
            tick_formatter=lambda day, *_: f"{day:%Y-%m}",
        )

    return _drawn("Suspects by month of the file", lines, axes)


def course_chart(report: Report) -> Chart | None:
    """Images a second over time, a line a host; None where that is no time to speak of."""
    steps, step = report.course.by_host, report.course.step_seconds
    length = step * max((len(rates) for rates in steps.values()), default=0)
    if length < 2 * step or not length:
        return None
    unit, name = next(one for one in UNITS if length >= 2 * one[0] or one[0] == 1)
    labels = {one.host_id: one.label for one in report.hosts}
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
        chart.add_x_axis(name=f"{name} since the start", tick_formatter=_short)
        chart.add_y_axis(name="images a second", tick_formatter=_short)

    return _drawn("Images a second, by host", lines, axes)


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
    # What leather writes is escaped XML: of numbers, and of words that stand in this module.
    named = f'<svg role="img" aria-label="{escape(title)}" '
    return Chart(
        title,
        Markup(svg.replace("<svg ", named, 1)),  # noqa: S704
        tuple(line for line in lines if line.name),
    )
