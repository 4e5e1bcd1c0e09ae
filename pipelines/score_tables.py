"""Scores as tables for people: rich on a terminal, plain aligned text elsewhere."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from asr.evaluation.datasets import Problem

SHOWN_PROBLEMS = 20
Plain = Mapping[str, Any]


def score_rows(summary: Plain) -> list[list[str]]:
    """Heading, one row a set, and a row for all where there are several."""
    heading = ["set", "WER %", "95 %", "CER %", "wrong sent. %", "sub", "del", "ins", "words", "utts", "minutes", "RTF"]
    rows = [_score_row(name, score) for name, score in summary["sets"].items()]
    return [heading, *rows, *([_score_row("all", summary)] if len(rows) > 1 else [])]


def _score_row(name: str, score: Plain) -> list[str]:
    counts = [str(score[key]) for key in ("substitutions", "deletions", "insertions", "words", "sentences")]
    rates = [number(score["cer"]), number(score["sentence_error_rate"])]
    times = [number(score["audio_seconds"] / 60), number(score["real_time_factor"], 3)]
    return [name, number(score["wer"]), interval(score), *rates, *counts, *times]


def normaliser_rows(summary: Plain) -> list[list[str]]:
    """WER under each normaliser: a change of it must not pass for a better model."""
    table = summary["normalisers"]
    sets = list(summary["sets"])
    wanted = [*sets, *(["all"] if len(sets) > 1 else [])]
    rows = [
        [name, *(number((row if key == "all" else row["sets"][key])["wer"]) for key in wanted)]
        for name, row in table.items()
    ]
    return [["WER % under", *wanted], *rows]


def remarks(summary: Plain) -> list[str]:
    """What the intervals are over; the confidence's worth and the words that training lacked, where they are known."""
    drawn = (f"{name} {part['units']} {part['interval_over']}" for name, part in summary["sets"].items())
    lines = [f"intervals: bootstrap over {', '.join(drawn)}"]
    if found := summary["confidence"]:
        nce = number(found["nce"], 3)
        lines.append(f"confidence: ECE {found['ece']:.3f}, NCE {nce}, {found['words']} words")
    if "rare_words" in summary:
        missed = ", ".join(f"{x['kind']} {number(x['missed_percent'])} %" for x in summary["rare_words"])
        lines.append(f"missed by count in training: {missed}")
        lines.append(f"out of vocabulary: {number(summary['out_of_vocabulary_percent'])} % of the words said")
    return ["", *lines]


def number(value: float | None, digits: int = 1) -> str:
    """A number for a table, "–" where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval(score: Plain) -> str:
    """low–high in percent."""
    return f"{number(score['wer_low'])}–{number(score['wer_high'])}"


def print_table(rows: Sequence[Sequence[str]], *, title: str = "", file: TextIO | None = None) -> None:
    """Write rows, the first of which is the heading, as a table. Numbers on the right."""
    stream = file or sys.stdout
    if stream.isatty():
        _print_rich(rows, title, stream)
    else:
        _print_plain(rows, title, stream)


def show_problems(problems: Sequence["Problem"], *, of: str = "") -> None:
    """On stderr, how many of each kind, and the first ones by name."""
    if not problems:
        return
    counts = ", ".join(f"{count} {kind}" for kind, count in Counter(x.kind for x in problems).items())
    print(f"problems{of and ' of '}{of}: {counts}", file=sys.stderr)
    for problem in problems[:SHOWN_PROBLEMS]:
        print(f"  {problem}", file=sys.stderr)
    if len(problems) > SHOWN_PROBLEMS:
        print(f"  … and {len(problems) - SHOWN_PROBLEMS} more", file=sys.stderr)


def _print_rich(rows: Sequence[Sequence[str]], title: str, stream: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text  # a name with brackets is no markup

    table = Table(title=Text(title) if title else None, title_justify="left", header_style="bold")
    for i, name in enumerate(rows[0]):
        table.add_column(Text(name), justify="right" if i else "left")
    for row in rows[1:]:
        table.add_row(*map(Text, row))
    Console(file=stream).print(table)


def _print_plain(rows: Sequence[Sequence[str]], title: str, stream: TextIO) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    if title:
        print(title, file=stream)
    for row in rows:
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip(), file=stream)
