"""`asr align --check`: which transcripts of a set have words that are not in their recordings."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from asr.errors import AsrError
from pipelines.progress import Progress

if TYPE_CHECKING:
    from asr.evaluation.transcript_alignment import TextAlignment
    from asr.recognizer import Recognizer


def check_transcripts(recognizer: "Recognizer", path: Path, *, head: str | None) -> None:
    """A line on stdout for each reference with words that seem not to be there; exit 1 where one cannot be aligned."""
    checked = words = missing = suspicious = failed = 0
    for name, found in _aligned(recognizer, path, head):
        if isinstance(found, AsrError):
            failed += 1
            print(f"asr: {name}: {found.problem}", file=sys.stderr)
            continue
        checked, words = checked + 1, words + len(found.transcript.words)
        missing, suspicious = missing + len(found.missing), suspicious + bool(found.missing)
        if found.missing:
            which = " ".join(f"{word.text}@{word.start_s:.2f}" for word in found.missing)
            print(f"{name}\t{len(found.missing)} of {len(found.transcript.words)}\t{which}", flush=True)
    share = f"{missing} of {words} words ({100 * missing / max(1, words):.1f} %) seem not to be there"
    print(f"asr: {suspicious} of {checked} transcripts are listed; {share}", file=sys.stderr)
    if failed:
        print(f"asr: {failed} could not be checked", file=sys.stderr)
        raise typer.Exit(1)


def _aligned(
    recognizer: "Recognizer", path: Path, head: str | None
) -> Iterator[tuple[str, "TextAlignment | AsrError"]]:
    from asr.errors import ManifestError
    from asr.evaluation.datasets import read_datasets
    from asr.evaluation.transcribing import prepare
    from asr.evaluation.transcript_alignment import align_text
    from asr.evaluation.word_presence import WordJudge

    datasets = read_datasets(path)
    for problem in (problem for dataset in datasets for problem in dataset.problems if problem.is_failure):
        yield problem.id, ManifestError(problem.id, problem.detail)
    references = [reference for dataset in datasets for reference in dataset.references if reference.text.strip()]
    judge = WordJudge(recognizer.bundle, *([head] if head else []))
    seconds = 0.0
    with Progress(len(references)) as progress:
        for reference in references:
            try:
                source = prepare(reference)
                found = align_text(recognizer, source, reference.text, name=reference.id, head=head, judge=judge)
                seconds += found.transcript.duration_s
                yield reference.id, found
            except AsrError as error:
                yield reference.id, error
            progress.advance(seconds)
