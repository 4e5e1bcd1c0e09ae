"""What `asr inspect` sees is what the model hears, and its pictures show it; with the packaged model."""

from functools import cache
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from asr.errors import AsrError, AudioError, ConfigError
from asr.evaluation.inspection import Inspection, inspect, read_stretch
from asr.evaluation.report.inspection_page import write_page
from asr.evaluation.report.inspection_picture import draw, strips, write_picture
from asr.events import Final
from asr.recognizer import MODELS, Recognizer
from pipelines.command import app
from tests.recordings import RECORDINGS

pytestmark = pytest.mark.skipif(not (MODELS / "small").is_dir(), reason="there is no packaged model")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short recordings with a pause of a second between them."""
    first, second = (soundfile.read(path, dtype="float32")[0] for path in sorted(RECORDINGS)[4:8:2])
    path = tmp_path_factory.mktemp("inspect") / "two.wav"
    soundfile.write(path, np.concatenate([first, np.zeros(16_000, np.float32), second]), 16_000)
    return path


@cache
def recognizer() -> Recognizer:
    return Recognizer.load(device="cpu")


@cache
def seen(path: Path) -> Inspection:
    return inspect(recognizer(), path)


def test_the_words_are_those_of_transcribe_and_the_live_finals_are_the_same(recording: Path) -> None:
    found, words = seen(recording), recognizer().transcribe(recording).words
    assert found.words == words
    finals = [x.event.text for x in found.live.heard if isinstance(x.event, Final)]
    assert " ".join(finals).split() == [word.text for word in words]


def test_every_station_covers_the_recording(recording: Path) -> None:
    found = seen(recording)
    assert found.duration_s == pytest.approx(soundfile.info(recording).duration)
    assert len(found.speech) * found.speech_s == pytest.approx(found.duration_s, abs=found.speech_s)
    assert len(found.log_mel) * found.mel_s == pytest.approx(found.duration_s, abs=3 * found.mel_s)
    for part, utterance in zip(found.posteriors, found.utterances, strict=True):
        np.testing.assert_allclose(part.values.sum(axis=1), 1, atol=1e-4)
        assert (part.start_s, part.end_s) == pytest.approx((utterance.start_s, utterance.end_s), abs=0.1)
        assert len(part.tokens) == part.values.shape[1]


def test_a_word_is_said_then_shown_then_settled_and_the_final_has_all_that_were_kept(recording: Path) -> None:
    found = seen(recording)
    assert all(word.start_s < word.shown_s <= word.settled_s <= max(found.final_s) for word in found.live_words)
    kept = [word.text for word in found.live_words if word.kept]
    assert sorted(kept) == sorted(word.text for word in found.words)


def test_a_stretch_is_a_part_of_the_whole(recording: Path) -> None:
    whole = read_stretch(recording, 0, None)
    np.testing.assert_array_equal(read_stretch(recording, 1.5, 2.25), whole[24_000:36_000])
    with pytest.raises(AudioError, match="there is nothing from 60 s on"):
        read_stretch(recording, 60, None)
    with pytest.raises(ConfigError, match="0 <= from < to"):
        read_stretch(recording, 2, 1)


def test_the_picture_shades_the_utterances_and_leaves_the_pause_white(recording: Path, tmp_path: Path) -> None:
    found, path = seen(recording), tmp_path / "deep" / "two.png"
    picture = draw(found)
    write_picture(picture, path)
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)
    span = (picture.right - picture.left) * image.shape[1] / found.duration_s

    def bluish(at_s: float) -> float:
        column = image[:, round(picture.left * image.shape[1] + span * at_s)]
        return float(np.mean((column == (239, 246, 255)).all(axis=1)))

    first, second = found.utterances
    assert bluish((first.end_s + second.start_s) / 2) == 0
    assert min(bluish((x.start_s + x.end_s) / 2) for x in found.utterances) > 0.2
    with pytest.raises(AsrError, match="cannot be written"):
        write_picture(picture, path / "below a file.png")


def test_a_recording_without_words_is_drawn_too(tmp_path: Path) -> None:
    path = tmp_path / "still.wav"
    soundfile.write(path, np.zeros(8_000, np.float32), 16_000)
    content = draw(seen(path), kind="svg").content
    assert ElementTree.fromstring(content).tag.endswith("svg")


def test_strips_part_a_long_recording_without_a_gap() -> None:
    parts = strips(90.0)
    assert (parts[0][0], parts[-1][1]) == (0, 90)
    assert all(a[1] == b[0] and a[1] - a[0] <= 20 for a, b in pairwise(parts))


def test_the_command_refuses_another_suffix_and_an_unknown_head(recording: Path) -> None:
    for options in (["--out", "x.jpg"], ["--head", "letters", "--out", "x.png"]):
        result = CliRunner().invoke(app, ["inspect", str(recording), *options])
        assert isinstance(result.exception, ConfigError), result.output


def test_in_a_browser_the_cursor_runs_along_with_no_request_and_no_error(recording: Path, tmp_path: Path) -> None:
    pytest.importorskip("websockets")
    from tests.evaluation import browser

    if browser.CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    found, path = seen(recording), tmp_path / "two.html"
    write_page(found, path)
    with browser.open_page(path, tmp_path / "profile", shows=".strip img") as page:
        assert page.evaluate("document.querySelectorAll('#words button').length") == len(found.words)
        page.wait_for("document.querySelector('audio').readyState >= 3")
        page.evaluate("document.querySelectorAll('#words button')[3].click()")
        page.wait_for(f"document.querySelector('audio').currentTime > {found.words[3].start_s}")
        place = float(page.evaluate("document.querySelector('.cursor').style.left").rstrip("%"))
        assert 0 < place < 100
        page.wait_for(f"parseFloat(document.querySelector('.cursor').style.left) > {place}")
        page.wait_for("document.querySelector('#live b')?.textContent")
        urls = [event["request"]["url"] for event in page.events_named("Network.requestWillBeSent")]
        assert [url for url in urls if not url.startswith(("file:", "blob:", "data:"))] == []
        assert page.events_named("Runtime.exceptionThrown", "Log.entryAdded") == []
