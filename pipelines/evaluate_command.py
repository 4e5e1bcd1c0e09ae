"""`asr evaluate`: word error rate with its interval, on any test set, of this recogniser or of another's hypotheses."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.outputs import check_files, file_of, save, save_text
from pipelines.recognise_references import EngineChoice, problems_of, recognise
from pipelines.score_tables import normaliser_rows, print_table, remarks, score_rows, show_problems

if TYPE_CHECKING:
    from asr.evaluation.datasets import Dataset
    from asr.evaluation.normalise import Normaliser
    from asr.evaluation.result import Plain, Result


def evaluate(
    data: Annotated[list[Path], typer.Argument(help="test sets: manifests, folders, tables; see --kind")],
    model: Annotated[str, typer.Option(help="name or folder of a model")] = "small",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or int8")] = "auto",
    decoding: Annotated[str, typer.Option(help="auto, greedy, or beam (lexicon and language model)")] = "auto",
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
    workers: Annotated[int, typer.Option(min=1, help="processes on Ray, each with the model")] = 1,
    address: Annotated[str | None, typer.Option(help="of a Ray cluster whose nodes all see the files")] = None,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="hear it live: delays, steadiness, partial WER")
    ] = False,
    delay_ms: Annotated[float, typer.Option(help="of partials, with --streaming")] = 960.0,
    partials: Annotated[str, typer.Option(help="with --streaming: auto, greedy or beam")] = "auto",
) -> None:
    """Word error rate with its interval. Exit status 1 where something could not be scored (the rest is)."""
    from asr.errors import ConfigError
    from asr.evaluation.datasets import read_datasets, with_own_names
    from asr.evaluation.normalise import choose_normaliser, read_rules
    from asr.evaluation.result import summarise
    from asr.evaluation.word_kinds import count_words

    own_rules = read_rules(rules) if rules else ()
    normalise = choose_normaliser(normaliser, own_rules)
    check_files(file_of(json), csv, report, read=(*data, hypotheses, rules, training_text, stress))
    if hypotheses and hypotheses.resolve() in {path.resolve() for path in data}:
        raise ConfigError("--hypotheses", f"expected what another system heard; {hypotheses} are the references")
    counts = count_words(_training_lines(training_text), normalise) if training_text else None
    datasets = with_own_names([dataset for path in data for dataset in read_datasets(path, kind=kind)])
    engine = EngineChoice(model, device, precision, decoding)
    if stress:
        from pipelines.stress_sweep import sweep

        if hypotheses or csv or workers > 1 or address or streaming:
            raise ConfigError(
                "--stress", "goes with --json and --report, not with --hypotheses, --csv, --workers or --streaming"
            )
        title = Path(engine.model).name
        sweep(datasets, engine.load(), settings=stress, normalise=normalise, json=json, report=report, title=title)
        return
    if streaming and (hypotheses or workers > 1 or address):
        raise ConfigError("--streaming", "goes neither with --hypotheses nor with --workers: it times one live stream")
    live = None
    if streaming:
        from pipelines.stream_references import plain_streaming, show_streaming, stream

        result, score = stream(datasets, engine, normalise, delay_ms=delay_ms, partials=partials)
        live = plain_streaming(score, delay_ms=delay_ms)
    else:
        result = (
            score_file(datasets, hypotheses)
            if hypotheses
            else recognise(datasets, engine, workers=workers, address=address)
        )
    summary = summarise(result, normaliser=normaliser, rules=own_rules, training_counts=counts)
    if live:
        summary["streaming"] = live
    written = write_files(result, summary, normalise, json=json, csv=csv, report=report)
    show(summary, to_stderr=json == "-")
    if live:
        show_streaming(live, to_stderr=json == "-")
    show_problems(result.problems)
    if not written or any(problem.is_failure for problem in result.problems):
        raise typer.Exit(1)


def score_file(datasets: Sequence["Dataset"], path: Path) -> "Result":
    """Somebody else's hypotheses on the references. Raises ManifestError."""
    from asr.evaluation.hypotheses import answer_with_hypotheses, read_hypotheses
    from asr.evaluation.result import Result

    answers, problems = answer_with_hypotheses(datasets, read_hypotheses(path), where=str(path))
    return Result(path.stem, tuple(answers), (*problems_of(datasets), *problems), {"hypotheses": path.name})


def _training_lines(path: Path) -> Iterator[str]:
    """The texts of a manifest, or all lines of a text file."""
    from asr.data.lines import numbered_lines, numbered_rows

    if path.name.endswith((".jsonl", ".jsonl.gz")):
        yield from (str(row.get("text", "")) for _, row in numbered_rows(path))
    else:
        yield from (line for _, line in numbered_lines(path))


def show(summary: "Plain", *, to_stderr: bool) -> None:
    """The tables."""
    stream = sys.stderr if to_stderr else sys.stdout
    print_table(score_rows(summary), title=f"{summary['name']}, normaliser {summary['normaliser']}", file=stream)
    print(file=stream)
    print_table(normaliser_rows(summary), file=stream)
    for line in remarks(summary):
        print(line, file=stream)


def write_files(
    result: "Result",
    summary: "Plain",
    normalise: "Normaliser",
    *,
    json: str | None,
    csv: Path | None,
    report: Path | None,
) -> bool:
    """Whether all that was asked for could be written, each file whole or not at all."""
    from asr.evaluation.result import write_csv, write_json

    written = [save_text(json, write_json(summary))] if json else []
    if csv:
        written.append(save_text(csv, write_csv(summary)))
    if report:
        from asr.evaluation.report.page import write_report

        written.append(save(report, lambda path: write_report([result], [summary], path, normalise=normalise)))
    return all(written)
