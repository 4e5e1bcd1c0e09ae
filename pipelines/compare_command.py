"""`asr compare`: is one result better than another, on the same references?"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.evaluate_command import score_file
from pipelines.outputs import check_files, file_of, save, save_text
from pipelines.score_tables import print_table, show_problems

if TYPE_CHECKING:
    from asr.evaluation.compare import Comparison
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
    """Each result against the first: difference of WER with its interval, p-value, words won and lost.

    Exit status 1 where something could not be compared, or counts as nothing heard for want of a hypothesis.
    """
    from asr.errors import ConfigError
    from asr.evaluation.compare import compare as compare_pair
    from asr.evaluation.datasets import read_datasets, with_own_names
    from asr.evaluation.normalise import choose_normaliser, read_rules
    from asr.evaluation.result import plain_json, summarise

    if len({path.resolve() for path in results}) < max(2, len(results)):
        raise ConfigError("asr compare", "expected two results or more, none of them twice")
    check_files(file_of(json), report, read=(*results, *(references or ()), rules))
    own_rules = read_rules(rules) if rules else ()
    normalise = choose_normaliser(normaliser, own_rules)
    datasets = with_own_names([x for path in references or [] for x in read_datasets(path, kind=kind)])
    all_results = with_distinct_names([read_any(path, datasets) for path in results], results)
    comparisons = [compare_pair(all_results[0], other, normalise) for other in all_results[1:]]
    written = []
    if json:
        written.append(save_text(json, plain_json({"comparisons": [comparison_to_json(x) for x in comparisons]})))
    if report:
        from asr.evaluation.report.page import write_report

        summaries = [summarise(x, normaliser=normaliser, rules=own_rules) for x in all_results]
        write = partial(write_report, all_results, summaries, normalise=normalise, comparisons=comparisons)
        written.append(save(report, write))
    for comparison in comparisons:
        show(comparison, to_stderr=json == "-")
    for result in all_results:
        show_problems(result.problems, of=result.name)
    if not all(written) or any(problem.is_failure for result in all_results for problem in result.problems):
        raise typer.Exit(1)


def read_any(path: Path, datasets: Sequence["Dataset"]) -> "Result":
    """A saved result, or hypotheses on the references. Raises ConfigError, ManifestError."""
    from asr.errors import ConfigError
    from asr.evaluation.result import read_result

    if datasets:
        return score_file(datasets, path)
    if path.suffix != ".json":
        raise ConfigError(path, "hypotheses alone cannot be scored: give their test set with --references")
    return read_result(path)


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
    print_table(comparison.table, file=stream)
    print(file=stream)
    print(f"{comparison.words_won} words won by {comparison.b}: {_words(comparison.won)}", file=stream)
    print(f"{comparison.words_lost} words lost by {comparison.b}: {_words(comparison.lost)}", file=stream)
    print(comparison.verdict, file=stream)


def _words(counted: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{word} {count}" for word, count in counted) or "none"


def comparison_to_json(comparison: "Comparison") -> dict[str, Any]:
    """Every number, plain."""
    from asr.evaluation.result import without_nan

    plain: dict[str, Any] = without_nan({**asdict(comparison), "verdict": comparison.verdict})
    plain["overall"]["shown"] = comparison.overall.shown
    return plain
