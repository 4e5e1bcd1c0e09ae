"""The upper half of the page: cards, tables and plots, from summaries (see asr.evaluation.result.summarise)."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from asr.evaluation.compare import Comparison
from asr.evaluation.report.latency import latency_plot, latency_title
from asr.evaluation.report.plots import COLOURS, Axis, Bar, Series, bars, lines, percent_ticks

Plain = Mapping[str, Any]
MOST_BARS = 24
SHOWN_CONFUSIONS = 40
SHOWN_PROBLEMS = 200


def number(value: float | None, digits: int = 1) -> str:
    """A number, "–" where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def cards(summaries: Sequence[Plain]) -> str:
    """One card a system: WER large, the rest small."""
    return '<div class="cards" id="scores">' + "".join(_card(x, i) for i, x in enumerate(summaries)) + "</div>"


def _card(summary: Plain, index: int) -> str:
    about = " · ".join(f"{escape(key)} {escape(str(value))}" for key, value in summary["about"].items())
    facts = [
        ("CER", f"{number(summary['cer'])} %"),
        ("wrong sentences", f"{number(summary['sentence_error_rate'])} %"),
        ("match error", f"{number(summary['match_error_rate'])} %"),
        ("information lost", f"{number(summary['word_information_lost'])} %"),
        ("sub / del / ins", " / ".join(str(summary[key]) for key in ("substitutions", "deletions", "insertions"))),
        ("words", number(summary["words"], 0)),
        ("utterances", number(summary["sentences"], 0)),
        ("audio", f"{number(summary['audio_seconds'] / 60)} min"),
        ("real-time factor", number(summary["real_time_factor"], 3)),
    ]
    if summary.get("out_of_vocabulary_percent") is not None:
        facts.append(("out of vocabulary", f"{number(summary['out_of_vocabulary_percent'])} %"))
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    drawn = f"95 %, bootstrap over {summary['units']} {escape(summary['interval_over'])}"
    return (
        f'<div class="card" style="--colour:{COLOURS[index % len(COLOURS)]}"><h2>{escape(summary["name"])}</h2>'
        f'<p class="wer">{number(summary["wer"])} %<small> WER</small></p>'
        f'<p class="interval">{_span(summary)} ({drawn})</p>'
        f'<dl>{cells}</dl><p class="about">{about}</p></div>'
    )


def _span(score: Plain) -> str:
    return f"{number(score['wer_low'])} to {number(score['wer_high'])} %"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "") -> str:
    """A plain table; cells are escaped; all columns but the first are numbers."""
    top = "".join(f"<th>{escape(name)}</th>" for name in heading)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def verdicts(comparisons: Sequence[Comparison]) -> str:
    """What the comparisons say, with their numbers."""
    return "".join(_verdict(x) for x in comparisons)


def _verdict(x: Comparison) -> str:
    heading, *rows = x.table
    words = _words(f"{x.words_won} words won by {x.b}", x.won) + _words(f"{x.words_lost} words lost by {x.b}", x.lost)
    return f'<section class="panel"><h2>{escape(x.verdict)}</h2>{table(heading, rows)}{words}</section>'


def _words(title: str, counted: Sequence[tuple[str, int]]) -> str:
    listed = ", ".join(f"{word} {count}" for word, count in counted) or "none"
    return f"<p><b>{escape(title)}</b>: {escape(listed)}</p>"


def score_tables(summaries: Sequence[Plain]) -> str:
    """Each set, and each normaliser."""
    heading = ["set", "WER %", "95 %", "CER %", "wrong sent. %", "sub", "del", "ins", "words", "utterances", "RTF"]
    several = len(summaries) > 1
    rows = [
        _score_row(f"{name} · {x['name']}" if several else name, score)
        for x in summaries
        for name, score in [*x["sets"].items(), *([("all", x)] if len(x["sets"]) > 1 else [])]
    ]
    names = list(summaries[0]["normalisers"])
    used = f"WER % under each normaliser (this page: {summaries[0]['normaliser']})"
    other = [
        [f"{key} · {x['name']}" if several else key]
        + [number((x["normalisers"][n] if key == "all" else x["normalisers"][n]["sets"][key])["wer"]) for n in names]
        for x in summaries
        for key in [*x["sets"], "all"]
    ]
    return table(heading, rows, caption="Scores") + table(["set", *names], other, caption=used)


def _score_row(name: str, score: Plain) -> list[str]:
    counts = [str(score[key]) for key in ("substitutions", "deletions", "insertions", "words", "sentences")]
    rates = [number(score["wer"]), _span(score), number(score["cer"]), number(score["sentence_error_rate"])]
    return [name, *rates, *counts, number(score["real_time_factor"], 3)]


def plots(summaries: Sequence[Plain]) -> str:
    """WER by every grouping, what the confidence is worth, and how soon live words came."""
    names = dict.fromkeys(name for x in summaries for name in x["groups"])
    found = [figure(f"WER by {name}", _group_bars(name, summaries)) for name in names]
    kinds = [(key, title) for key, title in KIND_PLOTS if any(x.get(key) for x in summaries)]
    found += [figure(title, _kind_bars(key, summaries)) for key, title in kinds]
    if any(x["confidence"] for x in summaries):
        found += [
            figure("Is the confidence honest?", _reliability(summaries)),
            figure("Words kept by confidence", _kept(summaries)),
        ]
    live = [x["streaming"] for x in summaries if x.get("streaming")]
    found += [figure(latency_title(x), latency_plot(x)) for x in live]
    return '<div class="plots" id="plots">' + "".join(found) + "</div>"


KIND_PLOTS = (("word_kinds", "Words missed, by kind"), ("rare_words", "Words missed, by their count in training"))


def figure(title: str, content: str) -> str:
    """A plot under its title."""
    return f"<figure><figcaption>{escape(title)}</figcaption>{content}</figure>"


def _group_bars(name: str, summaries: Sequence[Plain]) -> str:
    parts = [
        Bar(
            part["value"],
            part["wer"],
            part["wer_low"],
            part["wer_high"],
            f"{part['words']} words",
            COLOURS[i % len(COLOURS)],
        )
        for i, x in enumerate(summaries)
        for part in x["groups"].get(name, ())
    ]
    shown, note = _worst(_together(parts), MOST_BARS // len(summaries))
    return bars(shown, title=f"WER by {name}") + note


def _together(parts: Sequence[Bar]) -> list[Bar]:
    """The bars of one group side by side, groups in the order in which they come first."""
    order = {label: place for place, label in enumerate(dict.fromkeys(bar.label for bar in parts))}
    return sorted(parts, key=lambda bar: order[bar.label])


def _worst(parts: Sequence[Bar], most: int) -> tuple[list[Bar], str]:
    """All bars, or those of the groups with the highest values and a note that says so."""
    highest: dict[str, float] = {}
    for bar in parts:
        highest[bar.label] = max(highest.get(bar.label, 0.0), bar.value or 0.0)
    if len(highest) <= most:
        return list(parts), ""
    chosen = sorted(highest, key=lambda label: -highest[label])[:most]
    shown = sorted((bar for bar in parts if bar.label in chosen), key=lambda bar: chosen.index(bar.label))
    return shown, f"<p>The worst {most} of {len(highest)}; all are in --json.</p>"


def _kind_bars(key: str, summaries: Sequence[Plain]) -> str:
    rows = [
        Bar(x["kind"], x["missed_percent"], note=f"{x['words']} words", colour=COLOURS[i % len(COLOURS)])
        for i, summary in enumerate(summaries)
        for x in summary.get(key, ())
    ]
    return bars(_together(rows), title=key)


_SHARES = tuple((i / 5, f"{i / 5:.1f}") for i in range(6))


def _reliability(summaries: Sequence[Plain]) -> str:
    series, notes = [], []
    for i, x in enumerate(summaries):
        found = x["confidence"]
        if not found:
            continue
        points = tuple((b["confidence"], b["right"]) for b in found["bins"] if b["words"])
        series.append(Series(x["name"], points, COLOURS[i % len(COLOURS)]))
        notes.append(
            f"{escape(x['name'])}: ECE {found['ece']:.3f}, NCE {number(found['nce'], 3)}, {found['words']} words"
        )
    axes = Axis("confidence", 0, 1, _SHARES), Axis("share of words right", 0, 1, _SHARES)
    return lines(series, x=axes[0], y=axes[1], title="Reliability", diagonal=True) + f"<p>{'<br>'.join(notes)}</p>"


def _kept(summaries: Sequence[Plain]) -> str:
    series = [
        Series(
            x["name"], tuple((100 * p["share"], p["wrong"]) for p in x["confidence"]["kept"]), COLOURS[i % len(COLOURS)]
        )
        for i, x in enumerate(summaries)
        if x["confidence"]
    ]
    ticks = percent_ticks(max([y for one in series for _, y in one.points] + [1.0]))
    x_axis = Axis("words kept, the surest first (%)", 0, 100, tuple((20.0 * i, f"{20 * i}") for i in range(6)))
    return lines(
        series, x=x_axis, y=Axis("words wrong", 0, ticks[-1][0], ticks), title="Words wrong against words kept"
    )


def confusion_tables(summaries: Sequence[Plain]) -> str:
    """The most frequent errors; the page's script makes each a filter of the utterances."""
    return '<div class="errors" id="errors">' + "".join(_confusions(x, i) for i, x in enumerate(summaries)) + "</div>"


def _confusions(summary: Plain, index: int) -> str:
    buttons = "".join(_pair(x, index) for x in summary["confusions"][:SHOWN_CONFUSIONS])
    title = f"Most frequent errors of {escape(summary['name'])} (press one to see where)"
    return f'<figure><figcaption>{title}</figcaption><div class="pairs">{buttons}</div></figure>'


def _pair(confusion: Plain, index: int) -> str:
    said, heard = escape(confusion["reference"]), escape(confusion["hypothesis"])
    words = f"<s>{said or '∅'}</s> → <b>{heard or '∅'}</b> <small>{confusion['count']}</small>"
    return f'<button class="pair" data-system="{index}" data-said="{said}" data-heard="{heard}">{words}</button>'


def problems(summaries: Sequence[Plain]) -> str:
    """Everything that was missing, doubled, empty, too long or failed, by name."""
    rows = [[x["name"], p["kind"], p["id"], p["detail"]] for x in summaries for p in x["problems"]]
    if not rows:
        return ""
    more = f"<p>… and {len(rows) - SHOWN_PROBLEMS} more: all are in --json.</p>" if len(rows) > SHOWN_PROBLEMS else ""
    shown = table(["result", "kind", "utterance", "what"], rows[:SHOWN_PROBLEMS])
    title = f"<summary>{len(rows)} problems with the data or the recognition</summary>"
    return f'<details class="panel words">{title}{shown}{more}</details>'
