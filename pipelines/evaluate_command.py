"""`asr evaluate`: word error rate with its interval, on any test set, of this recogniser or of another's hypotheses."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.score_tables import normaliser_rows, print_table, score_rows

if TYPE_CHECKING:
    from asr.evaluation.answers import Answer
    from asr.evaluation.datasets import Dataset, Problem, Reference
    from asr.evaluation.normalise import Rule
    from asr.evaluation.result import Plain, Result
    from asr.evaluation.transcribing import SpeechRecognizer

SHOWN_PROBLEMS = 20


def evaluate(
    data: Annotated[list[Path], typer.Argument(help="test sets: manifests, folders, tables; see --kind")],
    model: Annotated[str, typer.Option(help="name or folder of a model")] = "small",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or int8")] = "auto",
    kind: Annotated[str | None, typer.Option(help="what the data is, where it is not recognised")] = None,
    normaliser: Annotated[str, typer.Option(help="none, basic, english or whisper; all are always shown")] = "basic",
    rules: Annotated[Path | None, typer.Option(help="own replacements, 'words => words' a line")] = None,
    hypotheses: Annotated[
        Path | None, typer.Option(help="score these (JSONL, CTM, TRN, text) and run no model")
    ] = None,
    training_text: Annotated[
        Path | None, typer.Option(help="text or manifest the model learnt from: rare words")
    ] = None,
    json: Annotated[str | None, typer.Option(help="write every number to a file, or - for stdout")] = None,
    csv: Annotated[Path | None, typer.Option(help="write one row an utterance")] = None,
    report: Annotated[Path | None, typer.Option(help="write one HTML page with all of it, and the recordings")] = None,
    stress: Annotated[Path | None, typer.Option(help="YAML of conditions: score the same set in each")] = None,
    workers: Annotated[int, typer.Option(min=1, help="processes, each with the model")] = 1,
) -> None:
    """Word error rate with its interval. Exit status 1 where something could not be scored (the rest is)."""
    from asr.errors import ConfigError
    from asr.evaluation.datasets import read_datasets, with_own_names
    from asr.evaluation.normalise import choose_normaliser, read_rules

    choose_normaliser(normaliser)
    own_rules = read_rules(rules) if rules else ()
    datasets = with_own_names([dataset for path in data for dataset in read_datasets(path, kind=kind)])
    engine = EngineChoice(model, device, precision)
    if stress:
        from pipelines.stress_sweep import sweep

        if hypotheses or csv or workers > 1:
            raise ConfigError("--stress", "goes with --json and --report, not with --hypotheses, --csv or --workers")
        normalise = choose_normaliser(normaliser, own_rules)
        title = Path(engine.model).name
        sweep(datasets, engine.load(), settings=stress, normalise=normalise, json=json, report=report, title=title)
        return
    result = _score_file(datasets, hypotheses) if hypotheses else _recognise(datasets, engine, workers=workers)
    summary = _summary(result, normaliser, own_rules, training_text)
    show(summary, to_stderr=json == "-")
    write_files(summary, json=json, csv=csv)
    if report:
        from asr.evaluation.report.page import write_report

        write_report([result], [summary], report, normalise=choose_normaliser(normaliser, own_rules))
    if any(problem.is_failure for problem in result.problems):
        raise typer.Exit(1)


@dataclass(frozen=True)
class EngineChoice:
    """Which model, and how it runs."""

    model: str
    device: str
    precision: str

    def load(self) -> "SpeechRecognizer":
        """The recognizer, loaded."""
        from asr.recognizer import Recognizer

        return Recognizer.load(self.model, device=self.device, precision=self.precision)

    @property
    def about(self) -> dict[str, str]:
        """The choice in words."""
        return {"model": self.model, "device": self.device, "precision": self.precision}


def _score_file(datasets: Sequence["Dataset"], path: Path) -> "Result":
    from asr.evaluation.hypotheses import answer_with_hypotheses, read_hypotheses
    from asr.evaluation.result import Result

    answers, problems = answer_with_hypotheses(datasets, read_hypotheses(path), where=str(path))
    return Result(path.stem, tuple(answers), (*_problems_of(datasets), *problems), {"hypotheses": path.name})


def _recognise(datasets: Sequence["Dataset"], engine: EngineChoice, *, workers: int) -> "Result":
    from asr.evaluation.answers import Answer
    from asr.evaluation.result import Result

    jobs = [(dataset.name, reference) for dataset in datasets for reference in dataset.references]
    found = list(_with_progress(recognise_all(jobs, engine, workers=workers), len(jobs)))
    answers = tuple(x for x in found if isinstance(x, Answer))
    failed = tuple(x for x in found if not isinstance(x, Answer))
    return Result(Path(engine.model).name, answers, (*_problems_of(datasets), *failed), engine.about)


def _problems_of(datasets: Sequence["Dataset"]) -> tuple["Problem", ...]:
    return tuple(problem for dataset in datasets for problem in dataset.problems)


def recognise_all(
    jobs: Sequence[tuple[str, "Reference"]], engine: EngineChoice, *, workers: int
) -> Iterator["Answer | Problem"]:
    """An answer or a problem for each (set, reference), in order."""
    from asr.evaluation.transcribing import answer_reference

    if workers == 1:
        recognizer = engine.load()
        yield from (answer_reference(recognizer, *job) for job in jobs)
        return
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=_load_here, initargs=(engine, workers)) as pool:
        yield from pool.imap(_answer_here, jobs)


_loaded: list["SpeechRecognizer"] = []  # of a worker process: one model, loaded once


def _load_here(engine: EngineChoice, workers: int) -> None:
    import os

    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    _loaded.append(engine.load())


def _answer_here(job: tuple[str, "Reference"]) -> "Answer | Problem":
    from asr.evaluation.transcribing import answer_reference

    return answer_reference(_loaded[0], *job)


def _with_progress(rows: Iterable["Answer | Problem"], total: int) -> Iterator["Answer | Problem"]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = not sys.stderr.isatty()
    yield from track(rows, total=total, description="recognising", console=console, disable=hidden, transient=True)


def _summary(result: "Result", normaliser: str, rules: Sequence["Rule"], training_text: Path | None) -> "Plain":
    from asr.evaluation.normalise import choose_normaliser
    from asr.evaluation.result import summarise
    from asr.evaluation.word_kinds import count_words

    counts: Mapping[str, int] | None = None
    if training_text:
        counts = count_words(_training_lines(training_text), choose_normaliser(normaliser, rules))
    return summarise(result, normaliser=normaliser, rules=rules, training_counts=counts)


def _training_lines(path: Path) -> Iterator[str]:
    """The texts of a manifest, or all lines of a text file."""
    from asr.evaluation.datasets.lines import numbered_lines, numbered_rows

    if path.name.endswith((".jsonl", ".jsonl.gz")):
        yield from (str(row.get("text", "")) for _, row in numbered_rows(path))
    else:
        yield from (line for _, line in numbered_lines(path))


def show(summary: "Plain", *, to_stderr: bool) -> None:
    """The tables, then on stderr what went wrong."""
    stream = sys.stderr if to_stderr else sys.stdout
    print_table(score_rows(summary), title=f"{summary['name']}, normaliser {summary['normaliser']}", file=stream)
    print(file=stream)
    print_table(normaliser_rows(summary), file=stream)
    show_problems(summary)


def show_problems(summary: "Plain") -> None:
    """How many of each kind, and the first ones by name."""
    problems = summary["problems"]
    if not problems:
        return
    counts = ", ".join(f"{count} {kind}" for kind, count in summary["problem_counts"].items())
    print(f"problems: {counts}", file=sys.stderr)
    for problem in problems[:SHOWN_PROBLEMS]:
        print(f"  {problem['kind']}: {problem['id']}: {problem['detail']}", file=sys.stderr)
    if len(problems) > SHOWN_PROBLEMS:
        print(f"  … and {len(problems) - SHOWN_PROBLEMS} more: all are in --json", file=sys.stderr)


def write_files(summary: "Plain", *, json: str | None, csv: Path | None) -> None:
    """What was asked for, each whole or not at all."""
    from asr.evaluation.result import write_csv, write_json

    if json == "-":
        sys.stdout.write(write_json(summary))
    elif json:
        write_whole(Path(json), write_json(summary))
    if csv:
        write_whole(csv, write_csv(summary))


def write_whole(path: Path, text: str) -> None:
    """Write to a name beside it, then rename. Raises AsrError where that cannot be."""
    from asr.errors import AsrError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise AsrError(path, f"cannot be written: {error.strerror}") from error
