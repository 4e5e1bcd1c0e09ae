"""`asr evaluate --stress`: the same test set, made worse step by step."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pipelines.outputs import save_text
from pipelines.score_tables import print_table

if TYPE_CHECKING:
    from asr.evaluation.answers import Answer
    from asr.evaluation.datasets import Dataset, Problem, Reference
    from asr.evaluation.normalise import Normaliser
    from asr.evaluation.stress import Condition, StressConfig
    from asr.evaluation.transcribing import Samples, SpeechRecognizer

Row = dict[str, Any]


def sweep(
    datasets: Sequence["Dataset"],
    recognizer: "SpeechRecognizer",
    *,
    settings: Path,
    normalise: "Normaliser",
    json: str | None,
    report: Path | None,
    title: str,
) -> None:
    """Recognise and score in every condition; print the table, write what was asked for. Exit 1 where one failed."""
    from asr.evaluation.report.stress_page import stress_page, stress_table
    from asr.evaluation.result import plain_json

    config = read_stress_config(settings)
    jobs = [(x.name, reference) for x in datasets for reference in spread(x.references, config.most_utterances)]
    rows, problems = [], [problem for dataset in datasets for problem in dataset.problems]
    for row, failed in _conditions(recognizer, jobs, config, normalise):
        rows.append(row)
        problems += failed
    written = []
    if json:
        content = {"name": title, "stress": rows, "problems": [asdict(x) for x in problems]}
        written.append(save_text(json, plain_json(content)))
    if report:
        written.append(save_text(report, stress_page(rows, title=title)))
    print_table(stress_table(rows), title=title, file=sys.stderr if json == "-" else sys.stdout)
    for problem in problems:
        print(f"  {problem}", file=sys.stderr)
    if not all(written) or any(problem.is_failure for problem in problems):
        raise typer.Exit(1)


def read_stress_config(path: Path) -> "StressConfig":
    """The settings, with the folders relative to the file. Raises ConfigError."""
    from asr.evaluation.stress import StressConfig
    from asr.settings import read_settings

    config = read_settings(StressConfig, path)
    noise, room = (folder and path.parent / folder for folder in (config.noise_folder, config.room_folder))
    return replace(config, noise_folder=noise, room_folder=room)


def spread(references: Sequence["Reference"], most: int | None) -> list["Reference"]:
    """At most so many, evenly from first to last."""
    if most is None or len(references) <= most:
        return list(references)
    return [references[i * len(references) // most] for i in range(most)]


def _conditions(
    recognizer: "SpeechRecognizer",
    jobs: Sequence[tuple[str, "Reference"]],
    config: "StressConfig",
    normalise: "Normaliser",
) -> Iterator[tuple[Row, list["Problem"]]]:
    from asr.evaluation.stress import conditions

    for condition in (None, *conditions(config)):
        print(f"hearing {condition.label if condition else 'as recorded'} …", file=sys.stderr, flush=True)
        found = [_hear(recognizer, *job, condition=condition) for job in jobs]
        yield _score(found, condition, normalise)


def _hear(
    recognizer: "SpeechRecognizer", dataset: str, reference: "Reference", *, condition: "Condition | None"
) -> "Answer | Problem":
    from asr.evaluation.transcribing import answer_reference

    def change(samples: "Samples") -> "Samples":
        assert condition is not None
        return condition.change(samples, reference.id)

    return answer_reference(recognizer, dataset, reference, change=change if condition else None)


def _score(
    found: Sequence["Answer | Problem"], condition: "Condition | None", normalise: "Normaliser"
) -> tuple[Row, list["Problem"]]:
    from asr.evaluation.answers import Answer
    from asr.evaluation.datasets import Problem
    from asr.evaluation.result import without_nan
    from asr.evaluation.scores import score_answers, total_score

    score = total_score(score_answers([x for x in found if isinstance(x, Answer)], normalise))
    kind, severity = (condition.kind, condition.severity) if condition else ("as recorded", None)
    label = f"{condition.severity:g} {condition.unit}" if condition else ""
    row: Row = without_nan({"kind": kind, "severity": severity, "label": label, **asdict(score)})
    problems = [x for x in found if isinstance(x, Problem)]
    return row, [replace(x, detail=f"{kind} {label}: {x.detail}") for x in problems]
