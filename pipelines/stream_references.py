"""Test sets through live streams: `asr evaluate --streaming`."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pipelines.progress import Progress
from pipelines.recognise_references import EngineChoice, problems_of
from pipelines.score_tables import number, print_table

if TYPE_CHECKING:
    from asr.evaluation.datasets import Dataset, Problem, Reference
    from asr.evaluation.normalise import Normaliser
    from asr.evaluation.result import Result
    from asr.evaluation.streaming import Listened, StreamingScore
    from asr.live import LiveSetup


def stream(
    datasets: Sequence["Dataset"], engine: EngineChoice, normalise: "Normaliser", *, delay_ms: float, partials: str
) -> tuple["Result", "StreamingScore"]:
    """Every reference heard live: the finals as a result, and how soon and how steady the words were."""
    from asr.evaluation.datasets import Problem
    from asr.evaluation.hypotheses import answer_of
    from asr.evaluation.result import Result
    from asr.evaluation.streaming import score_streams

    jobs = [(dataset.name, reference) for dataset in datasets for reference in dataset.references]
    found = _listen_to_all([reference for _, reference in jobs], engine, delay_ms, partials)
    problems, answers, runs = [], [], []
    for (name, reference), run in zip(jobs, found, strict=True):
        if isinstance(run, Problem):
            problems.append(run)
            continue
        answer = answer_of(name, reference, text=run.text, words=run.words)
        answers.append(replace(answer, duration_s=run.audio_s, wall_s=run.work_s))
        runs.append((reference.text, run))
    about = {**engine.about, "delay_ms": f"{delay_ms:.0f}", "partials": partials}
    result = Result(Path(engine.model).name, tuple(answers), (*problems_of(datasets), *problems), about)
    return result, score_streams(runs, normalise)


def _listen_to_all(
    references: Sequence["Reference"], engine: EngineChoice, delay_ms: float, partials: str
) -> list["Listened | Problem"]:
    recognizer = engine.load()
    setup = recognizer.live_setup(delay_ms=delay_ms, partials=partials)
    found: list[Listened | Problem] = []
    if references:
        _listen_to(setup, references[0])  # a process's first call is slower than any later one
    with Progress(len(references)) as progress:
        seconds = 0.0
        for reference in references:
            found.append(_listen_to(setup, reference))
            seconds += getattr(found[-1], "audio_s", 0.0)
            progress.advance(seconds)
    return found


def _listen_to(setup: "LiveSetup", reference: "Reference") -> "Listened | Problem":
    from asr.errors import AudioError
    from asr.evaluation.datasets import Problem
    from asr.evaluation.streaming import listen
    from asr.evaluation.transcribing import samples_of
    from asr.live import Live

    if reference.audio is None:
        return Problem("missing", reference.id, "only its text is known; a stream needs the recording")
    try:
        return listen(Live(setup), samples_of(reference))
    except AudioError as error:
        return Problem("failed", reference.id, str(error))


def plain_streaming(score: "StreamingScore", *, delay_ms: float) -> dict[str, Any]:
    """The numbers for --json, under "streaming"; NaN is None."""
    from asr.evaluation.result import without_nan

    plain: dict[str, Any] = without_nan({"delay_ms": delay_ms, **asdict(score)})
    return plain


def show_streaming(plain: dict[str, Any], *, to_stderr: bool) -> None:
    """How soon words came, as a table, and what became of them."""
    from asr.evaluation.report.latency import TITLES

    file: TextIO = sys.stderr if to_stderr else sys.stdout
    rows = [
        [title, *(_milliseconds(plain[key][x]) for x in _COLUMNS), str(plain[key]["count"])]
        for key, title in TITLES.items()
    ]
    print(file=file)
    print_table(
        [["ms", "p50", "p95", "most", "count"], *rows], title=f"live, delay {plain['delay_ms']:.0f} ms", file=file
    )
    flicker = f"{number(plain['partial_words_changed_percent'])} % of words in partials changed by later ones"
    changed = f"{number(plain['stable_changed_percent'])} % of {plain['stable_words']} stable words changed by finals"
    wer = f"WER % of partials {number(plain['partial_wer'])}, of finals {number(plain['final_wer'])}"
    print(f"{wer}; {flicker}; {changed}; real-time factor {number(plain['real_time_factor'], 3)}", file=file)


_COLUMNS = ("p50", "p95", "most")


def _milliseconds(seconds: float | None) -> str:
    return number(None if seconds is None else 1000 * seconds, 0)
