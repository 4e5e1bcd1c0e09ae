"""Subtitles (srt, vtt) that can be read: two short lines at most, long enough on the screen, breaking at pauses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asr.decoding.words import Transcript, Word

LINE = 42  # characters, as broadcasters have it
LONGEST_S = 7.0  # of a cue
SHORTEST_S = 1.0  # where the next cue leaves room
PAUSE_S = 0.6  # a pause this long within an utterance begins a new cue


@dataclass(frozen=True)
class Cue:
    """One or two lines, from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]


def cues(transcript: Transcript, *, until_s: float = float("inf")) -> list[Cue]:
    """All words in cues that do not overlap, the last one ended at `until_s`."""
    groups = [group for utterance in transcript.utterances for group in _groups(utterance.words)]
    ends = [*(group[0].start_s for group in groups[1:]), until_s]
    found = []
    for group, following in zip(groups, ends, strict=False):
        end = min(max(group[-1].end_s, group[0].start_s + SHORTEST_S), following)
        found.append(Cue(group[0].start_s, max(end, group[0].start_s), lines([word.text for word in group])))
    return found


def _groups(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Cut an utterance where a cue is full, has lasted long enough, or a pause comes."""
    group: list[Word] = []
    for word in words:
        if group and not _fits(group, word):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _fits(group: list[Word], word: Word) -> bool:
    texts = [x.text for x in (*group, word)]
    pause = word.start_s - group[-1].end_s
    return pause < PAUSE_S and word.end_s - group[0].start_s <= LONGEST_S and len(_filled(texts)) <= 2


def lines(texts: Sequence[str]) -> tuple[str, ...]:
    """One line if it fits, else two, the upper about as long as the lower."""
    whole = " ".join(texts)
    if len(whole) <= LINE:
        return (whole,)
    splits = [(" ".join(texts[:i]), " ".join(texts[i:])) for i in range(1, len(texts))]
    splits = [split for split in splits if max(map(len, split)) <= LINE]
    if not splits:
        return tuple(_filled(texts))
    return min(splits, key=lambda split: abs(len(split[0]) - len(split[1])))


def _filled(texts: Sequence[str]) -> list[str]:
    """Lines filled one after the other; a word longer than a line has one of its own."""
    filled = [texts[0]]
    for text in texts[1:]:
        if len(filled[-1]) + 1 + len(text) <= LINE:
            filled[-1] += f" {text}"
        else:
            filled.append(text)
    return filled


def srt(transcript: Transcript) -> str:
    """SubRip: numbered cues, times with a comma."""
    return "".join(srt_cue(cue, number) for number, cue in enumerate(cues(transcript), 1))


def srt_cue(cue: Cue, number: int) -> str:
    """One of SubRip's, from 1."""
    return f"{number}\n{_time(cue.start_s, ',')} --> {_time(cue.end_s, ',')}\n" + "\n".join(cue.lines) + "\n\n"


def vtt(transcript: Transcript) -> str:
    """WebVTT (W3C): a header, cues, times with a point."""
    return "WEBVTT\n\n" + "".join(map(vtt_cue, cues(transcript)))


def vtt_cue(cue: Cue) -> str:
    """One of WebVTT's."""
    lines = (line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in cue.lines)
    return f"{_time(cue.start_s, '.')} --> {_time(cue.end_s, '.')}\n" + "\n".join(lines) + "\n\n"


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
