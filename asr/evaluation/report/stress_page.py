"""The page of a robustness sweep: one plot and one table of WER against severity."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from asr.evaluation.report.plots import Axis, Series, lines, percent_ticks
from asr.evaluation.report.sections import figure, number, table

PALETTE = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626", "#0891b2", "#64748b", "#be185d", "#65a30d")


def stress_table(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Heading, then a row a condition; the first of `rows` is the unchanged set."""
    clean = rows[0]["wer"]
    heading = ["condition", "severity", "WER %", "95 %", "more than clean", "CER %", "del %", "ins %"]
    return [heading, *(_row(x, clean) for x in rows)]


def _row(x: dict[str, Any], clean: float | None) -> list[str]:
    more = "–" if x["wer"] is None or clean is None else f"{x['wer'] - clean:+.1f}"
    span = f"{number(x['wer_low'])}–{number(x['wer_high'])}"
    shares = [number(100 * x[key] / x["words"] if x["words"] else None) for key in ("deletions", "insertions")]
    return [x["kind"], x["label"], number(x["wer"]), span, more, number(x["cer"]), *shares]


def stress_page(rows: Sequence[dict[str, Any]], *, title: str) -> str:
    """The whole page, one file."""
    css = (files("asr.evaluation.report") / "report.css").read_text(encoding="utf-8")
    heading, *body = stress_table(rows)
    content = figure("WER against severity", stress_plot(rows)) + table(heading, body)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}: robustness</title>'
        f"<style>{css}</style></head><body><header><h1>Robustness: {escape(title)}</h1></header>"
        f"<main>{content}</main></body></html>\n"
    )


def stress_plot(rows: Sequence[dict[str, Any]]) -> str:
    """A line a kind, each from the unchanged set (step 0) through its severities, evenly spaced."""
    clean = rows[0]["wer"] or 0.0
    kinds = list(dict.fromkeys(x["kind"] for x in rows[1:]))
    series, legend = [], []
    for i, kind in enumerate(kinds):
        own = [x for x in rows if x["kind"] == kind]
        points = ((0.0, clean), *((step, x["wer"] or 0.0) for step, x in enumerate(own, 1)))
        series.append(Series(kind, tuple((float(a), float(b)) for a, b in points), PALETTE[i % len(PALETTE)]))
        steps = ", ".join(x["label"] for x in own)
        legend.append(f'<b style="color:{PALETTE[i % len(PALETTE)]}">{escape(kind)}</b> {escape(steps)}')
    most = max((len(one.points) - 1 for one in series), default=1)
    ticks = percent_ticks(max([y for one in series for _, y in one.points] + [clean, 1.0]))
    x_axis = Axis("severity step (0: as recorded)", 0, most, tuple((float(i), str(i)) for i in range(most + 1)))
    plot = lines(series, x=x_axis, y=Axis("WER", 0, ticks[-1][0], ticks), title="WER against severity", width=900)
    return plot + f"<p>{'<br>'.join(legend)}</p>"
