"""The report: one page that holds everything, and works in a browser without a network."""

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from asr.decoding.words import Alternative, Word
from asr.errors import AsrError
from asr.evaluation.answers import Answer
from asr.evaluation.compare import compare
from asr.evaluation.datasets.reference import Problem
from asr.evaluation.normalise import choose_normaliser
from asr.evaluation.report.latency import latency_plot, latency_title
from asr.evaluation.report.page import write_report
from asr.evaluation.result import Result, summarise, without_nan
from asr.evaluation.streaming import percentiles
from asr.recognizer import MODELS
from pipelines.command import app
from tests.evaluation.answers_for_tests import random_pairs
from tests.recordings import AUDIO, RECORDINGS

if TYPE_CHECKING:
    from tests.evaluation import browser

BASIC = choose_normaliser("basic")


def make_result(folder: Path, *, count: int = 60, name: str = "one", error_rate: float = 0.25) -> Result:
    """Answers with sound (a tone for each), times and confidences."""
    rng = np.random.default_rng(len(name))
    audio = folder / "tone.wav"
    if not audio.exists():
        time = np.arange(32000) / 16000
        soundfile.write(audio, (0.3 * np.sin(2 * np.pi * 440 * time * (1 + time / 4))).astype(np.float32), 16000)
    answers = []
    for i, (reference, hypothesis) in enumerate(random_pairs(count, error_rate=error_rate)):
        heard = hypothesis.split()
        words = tuple(Word(w, 0.1 * k, 0.1 * k + 0.1, float(rng.uniform(0.3, 1))) for k, w in enumerate(heard))
        answer = Answer(f"utt-{i:03d}", "clean" if i % 2 else "other", reference, hypothesis, words)
        seen = replace(
            answer, audio=str(audio), duration_s=2.0, wall_s=0.1, speaker=f"s{i % 12}", snr_db=3.0 * (i % 12)
        )
        others = (Alternative(hypothesis, -1.0), Alternative("<script>alert(1)</script>", -2.0))
        answers.append(replace(seen, alternatives=others, tags={"room": "hall"}))
    return Result(name, tuple(answers), (Problem("missing", "utt-x", "no file <b>"),), {"model": name})


def make_page(path: Path, *results: Result) -> Path:
    summaries = [summarise(result) for result in results]
    comparisons = [compare(results[0], other, BASIC, draws=100) for other in results[1:]]
    write_report(results, summaries, path, normalise=BASIC, comparisons=comparisons)
    return path


def test_the_page_is_one_file_that_names_no_other(tmp_path: Path) -> None:
    text = make_page(tmp_path / "r.html", make_result(tmp_path, count=5)).read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#)|@import|url\(""", text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert len(re.findall('id="audio-', text)) == 5
    assert "{{" not in text


def test_words_of_the_data_cannot_become_markup(tmp_path: Path) -> None:
    text = make_page(tmp_path / "r.html", make_result(tmp_path, count=3)).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "no file &lt;b&gt;" in text


def test_a_page_without_sound_or_confidence_says_why(tmp_path: Path) -> None:
    silent = Result("text", (Answer("u", "s", "a b", "a c"), Answer("v", "s", "", "", audio="gone.wav")))
    text = make_page(tmp_path / "r.html", silent).read_text(encoding="utf-8")
    assert "the recording is in no file" in text
    assert "there is no file gone.wav" in text
    assert "Reliability" not in text


def test_a_streamed_result_shows_how_soon_words_came(tmp_path: Path) -> None:
    result = make_result(tmp_path, count=4)
    soon, never = percentiles([0.1 * i for i in range(20)] + [60.0]), percentiles([])
    times = {"first_partial_s": soon, "word_delay_s": soon, "final_delay_s": never, "final_work_s": soon}
    steady = {"partial_words_changed_percent": 12.5, "stable_changed_percent": None, "stable_words": 0}
    live = without_nan({"delay_ms": 480.0, **{key: asdict(x) for key, x in times.items()}, **steady})
    write_report([result], [summarise(result) | {"streaming": live}], tmp_path / "r.html", normalise=BASIC)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    figure = next(part for part in text.split("<figure>") if "How soon words come, live at 480 ms" in part)
    assert figure.count("<circle") == 3 * 20  # 0 to 95 %: the one at a minute is told, not drawn
    assert "p50 1000 ms, p95 1900 ms, 21 times" in figure
    assert "12.5 % of words in partials changed later" in figure
    assert "How soon" in latency_title(live)
    assert "Nothing was said" in latency_plot({key: asdict(never) for key in times} | steady)


def test_a_page_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AsrError, match=r"r\.html"):
        make_page(tmp_path / "file" / "r.html", make_result(tmp_path, count=2))


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


def test_in_a_browser_the_table_sorts_search_finds_and_audio_plays_with_no_request_and_no_error(
    page_folder: Path,
) -> None:
    pytest.importorskip("websockets")
    from tests.evaluation import browser

    if browser.CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    first = make_result(page_folder)
    second = make_result(page_folder, name="other", error_rate=0.1)
    path = make_page(page_folder / "r.html", first, second)
    with browser.open_page(path, page_folder / "profile") as page:
        rows = "[...document.querySelectorAll('.row')]"
        cells = f"{rows}.map(r => Number(r.children[1 + 2].textContent))"
        assert page.evaluate("document.getElementById('count').textContent") == "60 of 60"
        assert page.evaluate(cells) == sorted(page.evaluate(cells), reverse=True)
        page.evaluate("document.querySelectorAll('#heading button')[3].click()")
        assert page.evaluate(cells) == sorted(page.evaluate(cells))

        page.evaluate("(() => { const s = document.getElementById('search'); s.value = 'UTT-017'; s.oninput(); })()")
        assert page.evaluate("document.getElementById('count').textContent") == "1 of 60"
        assert page.evaluate(f"{rows}.length") == 1
        page.evaluate(f"{rows}[0].click()")
        assert page.evaluate("document.querySelector('#detail h3').textContent") == "utt-017"
        assert page.evaluate("document.querySelectorAll('#detail .aligned').length") == 2
        assert page.evaluate("document.querySelectorAll('#detail .step').length") > 2

        page.wait_for("document.querySelector('audio').readyState >= 3")
        assert page.evaluate("document.querySelector('audio').duration") == pytest.approx(2.0, abs=0.1)
        page.evaluate("document.querySelector('audio').play()")
        page.wait_for("document.querySelector('audio').currentTime > 0.1")
        page.evaluate("document.querySelector('.spectrogram').click()")
        page.wait_for("document.querySelector('.picture canvas') !== null")
        assert page.evaluate(BRIGHT_PIXELS) > 100

        page.evaluate("(() => { const s = document.getElementById('search'); s.value = ''; s.oninput(); })()")
        page.evaluate("document.querySelector('.pair[data-system]').click()")
        shown = int(page.evaluate("document.getElementById('count').textContent").split()[0])
        assert 0 < shown < 60
        page.evaluate("document.getElementById('pair').click()")
        assert page.evaluate("document.getElementById('count').textContent") == "60 of 60"

        nothing_went_wrong(page)


def nothing_went_wrong(page: "browser.Page") -> None:
    """No request but for the page itself, no error, no warning."""
    urls = [event["request"]["url"] for event in page.events_named("Network.requestWillBeSent")]
    assert [url for url in urls if not url.startswith(("file:", "blob:", "data:"))] == []
    assert len([url for url in urls if url.startswith("file:")]) == 1
    assert page.events_named("Runtime.exceptionThrown", "Log.entryAdded") == []
    assert [x for x in page.events_named("Runtime.consoleAPICalled") if x["type"] in {"error", "warning"}] == []


BRIGHT_PIXELS = """(() => {
    const canvas = document.querySelector('.picture canvas');
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return data.filter((value, i) => i % 4 === 0 && value > 200).length;
})()"""


@pytest.mark.skipif(not (MODELS / "small").is_dir(), reason="there is no packaged model")
def test_real_recordings_heard_by_the_default_model_make_a_page_that_works(page_folder: Path) -> None:
    """As a user makes it, with the command; then everything that a person does with it, in a browser."""
    pytest.importorskip("websockets")
    from tests.evaluation import browser

    if browser.CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    path = page_folder / "real.html"
    done = CliRunner().invoke(app, ["evaluate", str(AUDIO), "--report", str(path), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    with browser.open_page(path, page_folder / "profile3") as page:
        assert (
            page.evaluate("document.getElementById('count').textContent") == f"{len(RECORDINGS)} of {len(RECORDINGS)}"
        )
        seconds = "[...document.querySelectorAll('.row')].map(r => Number(r.children[1].textContent))"
        page.evaluate("document.querySelectorAll('#heading button')[1].click()")
        up = page.evaluate(seconds)
        page.evaluate("document.querySelectorAll('#heading button')[1].click()")
        assert page.evaluate(seconds) == sorted(up, reverse=up == sorted(up))
        page.evaluate("(() => { const s = document.getElementById('search'); s.value = 'vctk'; s.oninput(); })()")
        assert page.evaluate("document.querySelectorAll('.row').length") == 2
        page.evaluate("document.querySelector('.row').click()")
        page.wait_for("document.querySelector('audio').readyState >= 3")
        assert page.evaluate("document.querySelector('audio').duration") > 1
        page.evaluate("document.querySelector('audio').play()")
        page.wait_for("document.querySelector('audio').currentTime > 0.3")
        page.evaluate("document.querySelector('.spectrogram').click()")
        page.wait_for("document.querySelector('.picture canvas') !== null")
        assert page.evaluate(BRIGHT_PIXELS) > 100
        nothing_went_wrong(page)


def test_ten_thousand_utterances_scroll_with_few_rows_drawn(page_folder: Path) -> None:
    pytest.importorskip("websockets")
    from tests.evaluation import browser

    if browser.CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    few = make_result(page_folder, count=100)
    answers = [replace(x, id=f"{x.id}-{i}", audio="", alternatives=()) for i in range(100) for x in few.answers]
    path, large = page_folder / "large.html", replace(few, answers=tuple(answers))
    write_report([large], [summarise(few)], path, normalise=BASIC)
    with browser.open_page(path, page_folder / "profile2") as page:
        page.evaluate("document.getElementById('viewport').scrollTop = 64 * 9000")
        page.wait_for("[...document.querySelectorAll('.row')].some(r => parseInt(r.style.top) === 64 * 9000)")
        assert page.evaluate("document.querySelectorAll('.row').length") < 40
        assert page.evaluate("document.getElementById('count').textContent") == "10000 of 10000"
