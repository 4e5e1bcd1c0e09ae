"""`asr compare`: is one result better than another, on the same references?"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.score_tables import number, print_table

if TYPE_CHECKING:
    from asr.evaluation.compare import Comparison, Difference
    from asr.evaluation.datasets import Dataset
    from asr.evaluation.result import Result


def compare(
    results: Annotated[list[Path], typer.Argument(help="two or more: files of `asr evaluate --json`, or hypotheses")],
    references: Annotated[list[Path] | None, typer.Option(help="test sets, where a result is only hypotheses")] = None,
    kind: Annotated[str | None, typer.Option(help="what the references are, where it is not recognised")] = None,
    normaliser: Annotated[str, typer.Option(help="none, basic, english or whisper, for all results")] = "basic",
    rules: Annotated[Path | None, typer.Option(help="own replacements, 'words => words' a line")] = None,
    json: Annotated[str | None, typer.Option(help="write every number to a file, or - for stdout")] = None,
    report: Annotated[Path | None, typer.Option(help="write one HTML page with the results side by side")] = None,
) -> None:
    """Each result against the first: difference of WER with its interval, p-value, words won and lost."""
    from asr.errors import ConfigError
    from asr.evaluation.compare import compare as compare_pair
    from asr.evaluation.datasets import read_datasets, with_own_names
    from asr.evaluation.normalise import choose_normaliser, read_rules

    if len(results) < 2:
        raise ConfigError("asr compare", "expected two results or more")
    own_rules = read_rules(rules) if rules else ()
    normalise = choose_normaliser(normaliser, own_rules)
    datasets = with_own_names([x for path in references or [] for x in read_datasets(path, kind=kind)])
    first, *others = with_distinct_names([read_any(path, datasets) for path in results], results)
    comparisons = [compare_pair(first, other, normalise) for other in others]
    for comparison in comparisons:
        show(comparison, to_stderr=json == "-")
    if json:
        _write_json(comparisons, json)
    if report:
        from asr.evaluation.report.page import write_report
        from asr.evaluation.result import summarise

        all_results = (first, *others)
        summaries = [summarise(x, normaliser=normaliser, rules=own_rules) for x in all_results]
        write_report(all_results, summaries, report, normalise=normalise, comparisons=comparisons)


def read_any(path: Path, datasets: Sequence["Dataset"]) -> "Result":
    """A saved result, or hypotheses on the references. Raises ManifestError."""
    from asr.errors import ManifestError
    from asr.evaluation.hypotheses import answer_with_hypotheses, read_hypotheses
    from asr.evaluation.result import Result, read_result

    if not datasets:
        if path.suffix != ".json":
            raise ManifestError(path, "hypotheses alone cannot be scored: give their test set with --references")
        return read_result(path)
    answers, problems = answer_with_hypotheses(datasets, read_hypotheses(path), where=str(path))
    for problem in problems:
        print(f"{path}: {problem}", file=sys.stderr)
    return Result(path.stem, tuple(answers), tuple(problems))


def with_distinct_names(results: Sequence["Result"], paths: Sequence[Path]) -> list["Result"]:
    """Two results of one model go by the names of their files, else nobody could tell them apart."""
    names = [result.name for result in results]
    if len(set(names)) == len(names):
        return list(results)
    stems = [path.stem for path in paths]
    own = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    return [replace(result, name=name) for result, name in zip(results, own, strict=True)]


def show(comparison: "Comparison", *, to_stderr: bool) -> None:
    """Table, words, verdict."""
    stream = sys.stderr if to_stderr else sys.stdout
    a, b = comparison.a, comparison.b
    heading = ["set", f"WER % {a}", f"WER % {b}", "difference", "95 %", "relative %", "P(better)", "MAPSSWE p", "words"]
    rows = [_row(name, difference) for name, difference in comparison.sets.items()]
    print_table([heading, *rows, _row("all", comparison.overall)], file=stream)
    print(file=stream)
    print(f"{comparison.words_won} words won by {b}: {_words(comparison.won)}", file=stream)
    print(f"{comparison.words_lost} words lost by {b}: {_words(comparison.lost)}", file=stream)
    print(comparison.verdict, file=stream)


def _row(name: str, d: "Difference") -> list[str]:
    span = f"{d.low:+.2f} to {d.high:+.2f}"
    rates = [number(d.wer_a, 2), number(d.wer_b, 2), f"{d.difference:+.2f}", span, f"{d.relative:+.1f}"]
    return [name, *rates, number(d.improvement, 3), f"{d.mapsswe.p_value:.3g}", str(d.words)]


def _words(counted: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{word} {count}" for word, count in counted) or "none"


def comparison_to_json(comparison: "Comparison") -> dict[str, Any]:
    """Every number, plain."""
    from asr.evaluation.result import without_nan

    plain: dict[str, Any] = without_nan({**asdict(comparison), "verdict": comparison.verdict})
    plain["overall"]["shown"] = comparison.overall.shown
    return plain


def _write_json(comparisons: Sequence["Comparison"], target: str) -> None:
    import json

    from pipelines.evaluate_command import write_whole

    text = (
        json.dumps({"comparisons": [comparison_to_json(x) for x in comparisons]}, ensure_ascii=False, indent=1) + "\n"
    )
    if target == "-":
        sys.stdout.write(text)
    else:
        write_whole(Path(target), text)
