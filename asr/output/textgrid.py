"""Praat's TextGrid, long form: interval tiers that cover the recording without a gap; empty text is silence."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from asr.errors import ManifestError

_INTERVAL = re.compile(r'xmin = (\S+)\s+xmax = (\S+)\s+text = "((?:[^"]|"")*)"')
_TIER = re.compile(r'name = "((?:[^"]|"")*)"')


@dataclass(frozen=True)
class Interval:
    """A label on [start_s, end_s)."""

    text: str
    start_s: float
    end_s: float


def textgrid(tiers: Mapping[str, Sequence[Interval]], duration_s: float) -> str:
    """Tiers by name, each in order of time, -> the file. What overlaps is cut where the next one starts."""
    # what frames and rounding put beyond the end still needs its place
    end = max([duration_s, *(interval.end_s for tier in tiers.values() for interval in tier)])
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
    head += f"xmin = 0\nxmax = {end:.4f}\ntiers? <exists>\nsize = {len(tiers)}\nitem []:\n"
    return head + "".join(_tier(i, name, list(_filled(tiers[name], end)), end) for i, name in enumerate(tiers, 1))


def _tier(number: int, name: str, intervals: list[Interval], end: float) -> str:
    lines = [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(name)}"]
    lines += ["        xmin = 0", f"        xmax = {end:.4f}", f"        intervals: size = {len(intervals)}"]
    for i, interval in enumerate(intervals, 1):
        lines += [f"        intervals [{i}]:", f"            xmin = {interval.start_s:.4f}"]
        lines += [f"            xmax = {interval.end_s:.4f}", f"            text = {_quoted(interval.text)}"]
    return "\n".join(lines) + "\n"


def _filled(intervals: Sequence[Interval], end: float) -> Iterator[Interval]:
    """The intervals, and empty ones in the gaps; times to a tenth of a millisecond, as they are written."""
    at, end = 0.0, round(end, 4)
    following = [*(round(interval.start_s, 4) for interval in intervals[1:]), end]
    for interval, limit in zip(intervals, following, strict=True) if intervals else ():
        start, stop = round(interval.start_s, 4), min(round(interval.end_s, 4), limit)
        if start > at:
            yield Interval("", at, start)
        yield Interval(interval.text, start, stop)
        at = stop
    if at < end:
        yield Interval("", at, end)


def parse_textgrid(text: str, *, name: str = "TextGrid") -> dict[str, tuple[Interval, ...]]:
    """The labelled intervals of a long-form TextGrid's tiers. Raises ManifestError."""
    if 'Object class = "TextGrid"' not in text:
        raise ManifestError(name, 'expected a long-form TextGrid with the line Object class = "TextGrid"')
    parts = _TIER.split(text)[1:]
    return {_unquoted(tier): tuple(_intervals(body)) for tier, body in zip(parts[::2], parts[1::2], strict=True)}


def _intervals(body: str) -> Iterator[Interval]:
    for start, end, label in _INTERVAL.findall(body):
        if label:
            yield Interval(_unquoted(label), float(start), float(end))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _unquoted(text: str) -> str:
    return text.replace('""', '"')
