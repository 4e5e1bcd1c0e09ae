"""Plots as inline SVG: bars with intervals, the reliability diagram, curves. Numbers in, markup out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea")
_GREY, _LIGHT = "#64748b", "#e2e8f0"


@dataclass(frozen=True)
class Bar:
    """One value in percent with its interval; None where not known. note is said after it (such as "412 words")."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    colour: str = COLOURS[0]


def bars(rows: Sequence[Bar], *, title: str, width: int = 400) -> str:
    """Horizontal bars, whiskers for the intervals, from 0 to the largest value."""
    row, top, left, right = 22, 8, 118, 126
    known = [x for bar in rows for x in (bar.value, min(bar.high or 0.0, 2 * (bar.value or 0.0) + 5)) if x is not None]
    most = max([*known, 1.0])
    height = top + row * len(rows) + 6

    def x(value: float) -> float:
        return left + (width - left - right) * min(value, most) / most

    parts = [f'<line x1="{left}" y1="{top - 2}" x2="{left}" y2="{height - 4}" stroke="{_LIGHT}"/>']
    for i, bar in enumerate(rows):
        parts += _bar(bar, y=top + row * i, x=x, left=left, end=width - right + 8)
    return svg("".join(parts), width=width, height=height, title=title)


def _bar(bar: Bar, *, y: float, x: Callable[[float], float], left: float, end: float) -> list[str]:
    label = bar.label if len(bar.label) <= 18 else bar.label[:17] + "…"
    parts = [text(left - 8, y + 13, label, anchor="end", hint=bar.label)]
    if bar.value is None:
        return [*parts, text(end, y + 13, "–", colour=_GREY)]
    size = f'width="{x(bar.value) - left:.1f}" height="14" rx="2"'
    parts.append(f'<rect x="{left}" y="{y + 2}" {size} fill="{bar.colour}" opacity="0.8"/>')
    if bar.low is not None and bar.high is not None:
        parts.append(f'<path d="M{x(bar.low):.1f} {y + 9}H{x(bar.high):.1f}" stroke="#0f172a" stroke-width="1.2"/>')
    note = f"{bar.value:.1f} %" + (f" · {bar.note}" if bar.note else "")
    return [*parts, text(end, y + 13, note, colour=_GREY, size=11)]


@dataclass(frozen=True)
class Series:
    """Points of one line; sizes, where given, scale the dots."""

    name: str
    points: tuple[tuple[float, float], ...]
    colour: str = COLOURS[0]


@dataclass(frozen=True)
class Axis:
    """What is on an axis, its ends, and its ticks with their labels."""

    name: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]


def lines(series: Sequence[Series], *, x: Axis, y: Axis, title: str, diagonal: bool = False, width: int = 460) -> str:
    """Lines with dots in a frame; a dotted diagonal where x and y ought to be equal."""
    left, top, bottom, right, height = 52, 10, 42, 16, 280

    def place(px: float, py: float) -> tuple[float, float]:
        across = left + (width - left - right) * (px - x.low) / ((x.high - x.low) or 1)
        return across, height - bottom - (height - top - bottom) * (py - y.low) / ((y.high - y.low) or 1)

    parts = []
    for value, name in x.ticks:
        across, base = place(value, y.low)
        parts += [
            f'<path d="M{across:.1f} {base}V{top}" stroke="{_LIGHT}"/>',
            text(across, base + 15, name, anchor="middle", colour=_GREY, size=11),
        ]
    for value, name in y.ticks:
        _, up = place(x.low, value)
        parts += [
            f'<path d="M{left} {up:.1f}H{width - right}" stroke="{_LIGHT}"/>',
            text(left - 6, up + 4, name, anchor="end", colour=_GREY, size=11),
        ]
    if diagonal:
        (x1, y1), (x2, y2) = place(x.low, y.low), place(x.high, y.high)
        parts.append(f'<path d="M{x1} {y1}L{x2} {y2}" stroke="{_GREY}" stroke-dasharray="4 4"/>')
    for one in series:
        dots = [place(*point) for point in one.points]
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in dots)
        parts.append(f'<path d="M{path}" fill="none" stroke="{one.colour}" stroke-width="2"/>' if dots else "")
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{one.colour}"/>' for a, b in dots]
    parts.append(text((left + width - right) / 2, height - 8, x.name, anchor="middle", colour=_GREY))
    turned = f'transform="rotate(-90 12 {(height - bottom) / 2})"'
    parts.append(text(12, (height - bottom) / 2, y.name, anchor="middle", colour=_GREY, extra=turned))
    return svg("".join(parts), width=width, height=height, title=title)


def percent_ticks(high: float, *, count: int = 5) -> tuple[tuple[float, str], ...]:
    """Round ticks from 0 to at least `high`."""
    steps = (0.5, 1, 2, 5, 10, 20, 25, 50, 100, 200)
    step = next((s for s in steps if s * count >= high), high / count)
    return tuple((step * i, f"{step * i:g} %") for i in range(int(-(-high // step)) + 1))


def text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    colour: str = "#0f172a",
    size: int = 12,
    hint: str = "",
    extra: str = "",
) -> str:
    """A line of text; hint is shown under the pointer."""
    tip = f"<title>{escape(hint)}</title>" if hint else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-size="{size}" {extra}>{tip}{escape(words)}</text>'


def svg(content: str, *, width: int, height: int, title: str) -> str:
    """A picture with a name for screen readers."""
    name = f'role="img" aria-label="{escape(title)}"'
    return f'<svg viewBox="0 0 {width} {height}" {name} xmlns="http://www.w3.org/2000/svg">{content}</svg>'
