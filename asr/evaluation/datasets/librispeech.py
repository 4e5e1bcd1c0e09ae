"""LibriSpeech trees: speaker/chapter/speaker-chapter.trans.txt with the audio beside it."""

from collections.abc import Iterator
from pathlib import Path

from asr.data.lines import numbered_lines
from asr.errors import ManifestError
from asr.evaluation.datasets.reference import AUDIO_SUFFIXES, Reference


def read_librispeech(path: Path) -> Iterator[Reference]:
    """Each line "id WORDS" of every *.trans.txt under the folder (or of one file). Raises ManifestError."""
    for transcript in [path] if path.is_file() else sorted(path.rglob("*.trans.txt")):
        audio = {p.stem: p for p in transcript.parent.iterdir() if p.suffix.lower() in AUDIO_SUFFIXES}
        for where, line in numbered_lines(transcript):
            name, _, text = line.strip().partition(" ")
            if "-" not in name:
                raise ManifestError(where, f"expected 'speaker-chapter-number WORDS', got {line[:60]!r}")
            yield Reference(
                id=name,
                audio=audio.get(name, transcript.parent / f"{name}.flac"),
                text=text.strip(),
                speaker=name.split("-")[0],
                source=path.name,
            )
