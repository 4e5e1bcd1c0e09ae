"""The checks of `asr doctor`: each gives findings and never raises."""

import importlib.metadata
import math
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from asr.errors import AsrError

if TYPE_CHECKING:
    from asr.audio.microphone import Samples
    from asr.recognizer import Recognizer

Level = Literal["ok", "warning", "problem"]
OLDEST_PYTHON = (3, 11)
NEEDED_GIB = 1.0
LISTEN_S = 1.0
FAINT_DBFS = -70.0
SAMPLES = Path(__file__).parent.parent / "tests" / "audio"


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found, and what to do where it is not well."""

    level: Level
    what: str
    found: str
    advice: str = ""


def check_python() -> Iterator[Finding]:
    """The interpreter and the system."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    good = sys.version_info >= OLDEST_PYTHON
    wanted = ".".join(map(str, OLDEST_PYTHON))
    yield Finding("ok" if good else "problem", "Python", found, "" if good else f"install Python {wanted} or later")


def check_packages() -> Iterator[Finding]:
    """Every package that this one requires, by its own list."""
    try:
        required = importlib.metadata.requires("asr") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("problem", "packages", "asr itself is not installed here", "run scripts/setup")
        return
    names = [re.split(r"[^\w.-]", line)[0] for line in required if "extra ==" not in line]
    versions = {name: _version(name) for name in names}
    if missing := [name for name, version in versions.items() if version is None]:
        yield Finding("problem", "packages", f"missing: {', '.join(missing)}", "run scripts/setup")
    found = ", ".join(f"{name} {versions[name]}" for name in ("torch", "numpy", "ray") if versions.get(name))
    yield Finding("ok", "packages", f"{len(names) - len(missing)} of {len(names)} there; {found}")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_compute() -> Iterator[Finding]:
    """What the network runs on. Where there is no GPU that is no fault."""
    try:
        import torch

        from asr.model.engine import choose_device, choose_precision, cores

        device = choose_device("auto")
        name = torch.cuda.get_device_name() if device.type == "cuda" else device.type
        precision = choose_precision("auto", device)
    except (ImportError, OSError, AsrError, RuntimeError) as error:
        yield Finding("problem", "device", f"torch does not work: {error}", "run scripts/setup again")
        return
    yield Finding("ok", "device", f"{name} in {precision}, {cores()} cores")


def check_microphones(sounddevice: Any = None, *, listen: bool) -> Iterator[Finding]:
    """PortAudio, every device that records, and a second of the default one. Files need none of it: only warnings."""
    from asr.audio.microphone import list_devices, load_sounddevice

    try:
        sounddevice = sounddevice or load_sounddevice()
    except (AsrError, ImportError) as error:
        problem = error.problem if isinstance(error, AsrError) else str(error)
        yield Finding("warning", "microphone", "`asr live` has no microphone here", problem)
        return
    try:
        lines = list_devices(sounddevice)
    except sounddevice.PortAudioError as error:
        yield Finding("warning", "microphone", f"PortAudio fails: {error}", "is the sound system running?")
        return
    if not lines:
        advice = "plug one in, or start the sound system; in a container, pass the sound devices in"
        yield Finding("warning", "microphone", "PortAudio works, but no device records", advice)
        return
    for line in lines:
        yield Finding("ok", "microphone", re.sub(r"\s+", " ", line).strip())
    if listen:
        yield _level_of_default(sounddevice)


def _level_of_default(sounddevice: Any) -> Finding:
    """A second of the default device: how loud it is."""
    import numpy as np

    advice = "is it muted, blocked for this program, or at level 0? Choose another with asr live --microphone"
    try:
        heard = _record(sounddevice)
    except AsrError as error:
        return Finding("warning", "level", f"{error.where} {error.problem}", advice)
    if not len(heard):
        return Finding("warning", "level", "no sound came from the default microphone", advice)
    decibels = 20 * math.log10(max(float(np.sqrt(np.mean(heard**2))), 1e-6))
    if not heard.any():
        return Finding("warning", "level", "only zeros came from the default microphone", advice)
    if decibels < FAINT_DBFS:
        return Finding(
            "warning", "level", f"very faint: {decibels:.0f} dBFS", "turn its level up; speech is at -40 to -15"
        )
    return Finding("ok", "level", f"{decibels:.0f} dBFS over a second (speech is at -40 to -15)")


def _record(sounddevice: Any) -> "Samples":
    import numpy as np

    from asr.audio.microphone import Notice, listen

    parts = [np.zeros(0, np.float32)]
    for part in listen(sounddevice=sounddevice):
        if not isinstance(part, Notice):
            parts.append(part)
        elif "no sound" in part.message:
            break
        if sum(map(len, parts)) >= LISTEN_S * 16_000:
            break
    return np.concatenate(parts)


def check_model(model: str) -> Iterator[Finding]:
    """Load it and let it hear something."""
    try:
        from asr.recognizer import Recognizer

        began = time.perf_counter()
        recognizer = Recognizer.load(model)
        took = time.perf_counter() - began
    except AsrError as error:
        yield Finding("problem", "model", str(error), "train one with asr train, or name another with --model")
        return
    except ImportError as error:
        yield Finding("problem", "model", f"cannot be loaded: {error}", "run scripts/setup")
        return
    weights = sum(x.numel() for x in recognizer.engine.full_model.parameters())
    yield Finding("ok", "model", f"{model} loads in {took:.1f} s: {weights / 1e6:.1f} million weights")
    try:
        yield _self_test(recognizer)
    except AsrError as error:
        yield Finding("problem", "self-test", str(error), "run scripts/setup again, or copy the model again")


def _self_test(recognizer: "Recognizer") -> Finding:
    """The sample recordings against their words; without them a tone, which only has to pass through."""
    recordings = sorted(SAMPLES.glob("*.opus"))
    if not recordings:
        return _hear_tone(recognizer)
    began = time.perf_counter()
    transcripts = [recognizer.transcribe(path) for path in recordings]
    speed = sum(x.duration_s for x in transcripts) / (time.perf_counter() - began)
    truths = [path.with_suffix(".txt").read_text(encoding="utf-8") for path in recordings]
    wer = _word_error_rate(truths, [x.text for x in transcripts])
    found = f"{wer:.0f} % word errors on {len(recordings)} sample recordings, {speed:.0f} x real time"
    if speed < 1:
        return Finding("warning", "self-test", found, "too slow for live use: are other programs busy?")
    if wer > 60:
        return Finding("warning", "self-test", found, "this model does not know English speech: is it trained?")
    return Finding("ok", "self-test", found)


def _hear_tone(recognizer: "Recognizer") -> Finding:
    import numpy as np

    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.float32)
    [found] = recognizer.log_probs([tone])
    if all(bool(x.isfinite().all()) and len(x) for x in found.values()):
        return Finding("ok", "self-test", "a tone passes through the network")
    return Finding("problem", "self-test", "the network gives values that are not numbers", "copy the model again")


def _word_error_rate(truths: Sequence[str], texts: Sequence[str]) -> float:
    """Percent."""
    from asr.evaluation.alignment import Counts, align
    from asr.evaluation.normalise import basic

    found = align([basic(text) for text in truths], [basic(text) for text in texts])
    counts = sum((x.counts for x in found), Counts())
    return 100 * counts.errors / max(1, counts.words)


def check_disk() -> Iterator[Finding]:
    """Room for temporary files and for results in this folder."""
    for name, folder in (("temporary files", Path(tempfile.gettempdir())), ("this folder", Path.cwd())):
        free = shutil.disk_usage(folder).free / 2**30
        good = free >= NEEDED_GIB
        advice = "" if good else f"free some: less than {NEEDED_GIB:.0f} GiB is left"
        yield Finding("ok" if good else "warning", "disk", f"{free:.1f} GiB free for {name}", advice)
