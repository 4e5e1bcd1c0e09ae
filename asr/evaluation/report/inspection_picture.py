"""One recording as the model hears it, drawn: matplotlib, with librosa for the mel spectrogram."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from asr.audio.reader import SAMPLE_RATE
from asr.evaluation.inspection import Inspection, LiveWord
from asr.segments import SegmentConfig
from asr.writing import whole_file

LONGEST_S = 30.0  # of one picture: more cannot be read
MOST_TOKENS = 48  # rows of posteriors
SHOWN = 0.25  # a token that is never so probable is not drawn
INK, GREY, LIGHT, BLUE, GREEN, RED = "#0f172a", "#64748b", "#e2e8f0", "#2563eb", "#059669", "#dc2626"
CONFIDENCE = LinearSegmentedColormap.from_list("confidence", ["#dc2626", "#f59e0b", "#16a34a"])
_LEFT_IN, _RIGHT_IN, _TOP_IN, _BOTTOM_IN, _GAP_IN = 1.25, 0.85, 0.95, 0.5, 0.48


@dataclass(frozen=True)
class Picture:
    """An image file's bytes of [from_s, to_s); `left` and `right` are where these lie, as shares of its width."""

    content: bytes
    from_s: float
    to_s: float
    left: float
    right: float


@dataclass(frozen=True)
class _View:
    """The part of an inspection that one picture shows; seconds from the inspection's beginning."""

    x: Inspection
    from_s: float
    to_s: float

    def sees(self, start_s: float, end_s: float) -> bool:
        return end_s > self.from_s and start_s < self.to_s

    @property
    def live(self) -> list[LiveWord]:
        return [word for word in self.x.live_words if self.sees(word.start_s, word.end_s)]

    @property
    def rows(self) -> list[int]:
        """The tokens to draw, blank first, then those that are heard, in the order in which they are surest."""
        parts = [p.values for p in self.x.posteriors if self.sees(p.start_s, p.end_s)]
        if not parts:
            return [0]
        most = np.concatenate(parts)
        heard = [int(i) for i in np.flatnonzero(most.max(axis=0) >= SHOWN) if i]
        if len(heard) > MOST_TOKENS:
            heard = sorted(heard, key=lambda i: -float(most[:, i].max()))[:MOST_TOKENS]
        return [0, *sorted(heard, key=lambda i: int(most[:, i].argmax()))]


def draw(x: Inspection, *, from_s: float = 0.0, to_s: float | None = None, kind: str = "png") -> Picture:
    """[from_s, to_s) of an inspection as a "png" or "svg", LONGEST_S at most."""
    end = min(x.duration_s, from_s + LONGEST_S) if to_s is None else to_s
    view = _View(x, from_s, max(end, from_s + 0.1))
    panels = [(1.0, _waveform), (0.75, _speech), (1.9, _mel), (0.6 + 0.135 * len(view.rows), _posteriors)]
    panels += [(1.25, _words), (max(1.0, 0.4 + 0.155 * len(view.live)), _live)]
    width = float(np.clip(1.15 * (view.to_s - view.from_s) + 2, 11, 36))
    height = _TOP_IN + _BOTTOM_IN + sum(size + _GAP_IN for size, _ in panels) - _GAP_IN
    figure = Figure(figsize=(width, height), facecolor="white")
    top = height - _TOP_IN
    for size, panel in panels:
        box = (_LEFT_IN / width, (top - size) / height, 1 - (_LEFT_IN + _RIGHT_IN) / width, size / height)
        panel(_prepared(figure.add_axes(box), view), view)
        top -= size + _GAP_IN
    figure.text(_LEFT_IN / width, 1 - 0.12 / height, _title(view), va="top", size=11, color=INK)
    figure.axes[-1].set_xlabel("seconds" if not x.start_s else f"seconds after {x.start_s:g} s of the recording")
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else None)
    return Picture(content.getvalue(), view.from_s, view.to_s, _LEFT_IN / width, 1 - _RIGHT_IN / width)


def write_picture(picture: Picture, path: Path) -> None:
    """Write it whole or not at all. Raises AsrError."""
    with whole_file(path) as part:
        part.write_bytes(picture.content)


def _title(view: _View) -> str:
    text = " ".join(word.text for word in view.x.words if view.sees(word.start_s, word.end_s))
    most = int(13 * (view.to_s - view.from_s) + 60)
    shown = text if len(text) <= most else text[: most - 1] + "…"
    return f"{view.x.name}\n{shown or 'no words heard'}"


def _prepared(axes: Axes, view: _View) -> Axes:
    axes.set_xlim(view.from_s, view.to_s)
    axes.tick_params(labelsize=8, colors=GREY, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LIGHT)
    for utterance in view.x.utterances:
        if view.sees(utterance.start_s, utterance.end_s):
            axes.axvspan(utterance.start_s, utterance.end_s, color="#eff6ff", zorder=-2, linewidth=0)
    return axes


def _name(axes: Axes, words: str, note: str = "") -> None:
    axes.set_title(words, loc="left", size=9.5, color=INK, pad=4, weight="bold")
    if note:
        axes.set_title(note, loc="right", size=8.5, color=GREY, pad=4)


def _waveform(axes: Axes, view: _View) -> None:
    """The highest and lowest sample of each column."""
    first, last = round(view.from_s * SAMPLE_RATE), round(view.to_s * SAMPLE_RATE)
    samples = view.x.samples[first:last]
    size = max(1, len(samples) // 3000)
    columns = samples[: len(samples) // size * size].reshape(-1, size)
    times = view.from_s + (np.arange(len(columns)) + 0.5) * size / SAMPLE_RATE
    axes.fill_between(times, columns.min(axis=1), columns.max(axis=1), color=BLUE, linewidth=0.4)
    peak = max(0.01, float(np.abs(samples).max(initial=0.0)))
    axes.set_ylim(-1.05 * peak, 1.05 * peak)
    _name(axes, "waveform", "shaded: the utterances that were cut out")


def _speech(axes: Axes, view: _View) -> None:
    times = (np.arange(len(view.x.speech)) + 0.5) * view.x.speech_s
    config = SegmentConfig()
    axes.fill_between(times, 0, view.x.speech, color=GREEN, alpha=0.25, linewidth=0)
    axes.plot(times, view.x.speech, color=GREEN, linewidth=1)
    for level, name in ((config.onset, "begins"), (config.offset, "goes on")):
        axes.axhline(level, color=GREY, linewidth=0.7, linestyle=(0, (4, 4)))
        axes.text(view.to_s, level, f" {name}", va="center", size=7.5, color=GREY)
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 1])
    _name(axes, "probability of speech")


def _mel(axes: Axes, view: _View) -> None:
    """What the network is given, by librosa."""
    from librosa.display import specshow

    first, last = round(view.from_s / view.x.mel_s), round(view.to_s / view.x.mel_s)
    part = view.x.log_mel[first : last + 1].T
    times = (first + np.arange(part.shape[1])) * view.x.mel_s
    decibels = 10 / np.log(10) * part
    options: dict[str, Any] = {"x_coords": times, "y_axis": "mel", "sr": SAMPLE_RATE, "fmax": SAMPLE_RATE / 2}
    top = float(decibels.max(initial=-70.0))
    specshow(decibels, ax=axes, cmap="magma", vmin=top - 70, vmax=top, rasterized=True, **options)
    axes.set(xlim=(view.from_s, view.to_s), xlabel="", ylabel="", yticks=[500, 1000, 2000, 4000])
    axes.yaxis.minorticks_off()
    axes.yaxis.set_major_formatter(lambda hertz, _: f"{hertz / 1000:g} kHz")
    _name(axes, f"log-mel, {part.shape[0]} bands", "dark to bright: 70 dB")


def _posteriors(axes: Axes, view: _View) -> None:
    rows = view.rows
    for part in view.x.posteriors:
        if view.sees(part.start_s, part.end_s) and len(part.values):
            for low, high, colours in ((0, 1, "Greys"), (1, len(rows), "BuPu")):
                extent = (part.start_s, part.end_s, low - 0.5, high - 0.5)
                values = np.ma.masked_less(part.values[:, rows[low:high]].T, 0.02)
                image: dict[str, Any] = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
                if high > low:
                    axes.imshow(values, extent=extent, vmin=0, vmax=1, cmap=colours, **image)
    names = view.x.posteriors[0].tokens if view.x.posteriors else ("<blank>",)
    axes.set_yticks(range(len(rows)), ["blank", *(names[i] for i in rows[1:])], fontsize=7)
    axes.set(xlim=(view.from_s, view.to_s), ylim=(-0.6, len(rows) - 0.4))
    axes.hlines(0.5, view.from_s, view.to_s, color=LIGHT, linewidth=0.8)
    axes.xaxis.grid(visible=True, color=LIGHT, linewidth=0.5)
    axes.set_axisbelow(True)
    frame = f"; each frame is {1000 * view.x.posteriors[0].frame_s:.0f} ms" if view.x.posteriors else ""
    shown = f"pale to dark: 0 to 1, those of {SHOWN:g} and more{frame}"
    _name(axes, f"token posteriors, head {view.x.head}", shown)
    _scale(axes, "BuPu")


def _words(axes: Axes, view: _View) -> None:
    """A box for each word in the colour of its confidence; names one above the other where they would touch."""
    shown = [word for word in view.x.words if view.sees(word.start_s, word.end_s)]
    per_inch = (view.to_s - view.from_s) / (axes.get_position().width * axes.figure.get_figwidth())  # type: ignore[union-attr]
    ends = [-1e9] * 3
    for word in shown:
        middle = (word.start_s + word.end_s) / 2
        wide = per_inch * (0.075 * max(len(word.text), 4) + 0.06)
        lane = next((i for i, end in enumerate(ends) if middle - wide / 2 >= end), ends.index(min(ends)))
        ends[lane] = middle + wide / 2
        colour = CONFIDENCE(word.confidence) if word.confidence == word.confidence else LIGHT
        axes.barh(0, word.end_s - word.start_s, left=word.start_s, height=0.8, color=colour, edgecolor="white")
        axes.plot([middle, middle], [0.4, 0.75 + 1.3 * lane], color=LIGHT, linewidth=0.6, zorder=-1)
        axes.text(middle, 0.8 + 1.3 * lane, word.text, ha="center", va="bottom", size=8.5, color=INK, clip_on=True)
        if word.end_s - word.start_s >= 0.22 * per_inch:
            number = f"{word.confidence:.2f}".removeprefix("0")
            axes.text(middle, 0, number, ha="center", va="center", size=6.5, color="white", clip_on=True)
    axes.set(ylim=(-0.5, 2.3 + 1.3 * max(i for i, end in enumerate(ends) if i == 0 or end > -1e9)), yticks=[])
    _name(axes, "words", "in the box: confidence")
    _scale(axes, CONFIDENCE)


def _scale(axes: Axes, colours: Any) -> None:
    """A narrow scale at the right, where no time is."""
    figure = axes.figure
    box = axes.get_position()
    right = 1 - 0.62 / figure.get_figwidth()  # type: ignore[union-attr]
    beside = figure.add_axes((right, box.y0, 0.08 / figure.get_figwidth(), box.height))  # type: ignore[union-attr]
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), colours), cax=beside, ticks=[0, 0.5, 1])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, colors=GREY, length=2)


def _live(axes: Axes, view: _View) -> None:
    """A row a word: its sound, then the wait until it was shown, then until it could no longer change."""
    shown = view.live
    for row, word in enumerate(reversed(shown)):
        axes.barh(row, word.end_s - word.start_s, left=word.start_s, height=0.62, color="#bfdbfe")
        axes.plot([word.end_s, word.shown_s], [row, row], color="#94a3b8", linewidth=1)
        axes.plot([word.shown_s, word.settled_s], [row, row], color="#f59e0b", linewidth=2)
        if word.shown_s < word.settled_s:
            axes.plot(word.shown_s, row, "o", markersize=4, markerfacecolor="white", markeredgecolor="#d97706")
        axes.plot(word.settled_s, row, "o", markersize=4, color=GREEN if word.kept else RED, clip_on=False)
        if word.start_s >= view.from_s:
            colour = INK if word.kept else RED
            axes.text(word.start_s - 0.03, row, word.text, ha="right", va="center", size=7.5, color=colour)
    for at_s in view.x.final_s:
        if view.from_s <= at_s <= view.to_s:
            axes.axvline(at_s, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(ylim=(-0.8, max(1, len(shown)) - 0.2), yticks=[])
    parts = (
        "bar: said; ring: first shown; dot: settled (green: the final kept it, red: it did not); dashed: a final came"
    )
    _name(axes, f"live, delay {view.x.delay_ms:.0f} ms", parts)


def strips(duration_s: float, *, most_s: float = 20.0) -> Sequence[tuple[float, float]]:
    """A long recording in stretches of the same length for one picture each."""
    count = max(1, int(np.ceil(duration_s / most_s)))
    return [(duration_s * i / count, duration_s * (i + 1) / count) for i in range(count)]
