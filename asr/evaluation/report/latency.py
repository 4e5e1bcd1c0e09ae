"""How soon live words came: the share of them that had come after so many milliseconds, and the numbers."""

from collections.abc import Mapping
from html import escape
from typing import Any

from asr.evaluation.report.plots import COLOURS, Axis, Series, lines

Plain = Mapping[str, Any]
TITLES = {  # of the delays in a StreamingScore
    "first_partial_s": "first partial after speech starts",
    "word_delay_s": "word in a partial after its end",
    "final_work_s": "work that gives a final",
    "finish_work_s": "work of finish",
    "final_delay_s": "final after the last word",
}
DRAWN = ("first_partial_s", "word_delay_s", "final_delay_s", "final_work_s")
_SHARES = tuple((20.0 * i, f"{20 * i} %") for i in range(6))


def latency_plot(streaming: Plain) -> str:
    """A line a kind, up to its 95th percentile or the frame; what `asr evaluate --streaming` measured, plain values."""
    series, legend = [], []
    end = 1000 * max([min(3 * x["p50"], x["p95"]) for key in DRAWN if (x := streaming[key])["count"]] + [0.0])
    for colour, key in zip(COLOURS, DRAWN, strict=True):
        title, found = TITLES[key], streaming[key]
        if not found["count"]:
            continue
        points = tuple(
            (1000 * value, 5.0 * i) for i, value in enumerate(found["twentieths"][:20]) if 1000 * value <= end
        )
        series.append(Series(title, points, colour))
        numbers = f"p50 {1000 * found['p50']:.0f} ms, p95 {1000 * found['p95']:.0f} ms, {found['count']} times"
        legend.append(f'<b style="color:{colour}">{escape(title)}</b> {numbers}')
    if not series:
        return "<p>Nothing was said.</p>"
    ticks = _ticks(end)
    x_axis = Axis("milliseconds", 0, ticks[-1][0], ticks)
    plot = lines(series, x=x_axis, y=Axis("share that has come", 0, 100, _SHARES), title="Latency")
    return plot + f"<p>{'<br>'.join(legend)}<br>{_steadiness(streaming)}</p>"


def latency_title(streaming: Plain) -> str:
    """With the delay that was chosen."""
    return f"How soon words come, live at {streaming['delay_ms']:.0f} ms"


def _steadiness(x: Plain) -> str:
    changed, stable = x["partial_words_changed_percent"], x["stable_changed_percent"]
    parts = [f"{changed:.1f} % of words in partials changed later" if changed is not None else ""]
    parts += [f"{stable:.1f} % of {x['stable_words']} stable words changed by finals" if stable is not None else ""]
    return "; ".join(filter(None, parts))


def _ticks(most: float) -> tuple[tuple[float, str], ...]:
    """Five or so round steps from 0 to at least `most` milliseconds."""
    step = next(s for s in (20, 50, 100, 200, 250, 500, 1000, 2000, 5000, 10_000, 1e9) if 6 * s >= most)
    return tuple((float(step * i), f"{step * i:.0f}") for i in range(int(-(-most // step)) + 1))
