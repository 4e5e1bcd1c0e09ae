"""The simulated clock and what is measured on it, with a stream that says what it is told; then the command itself."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.decoding.words import Word
from asr.evaluation import streaming
from asr.evaluation.normalise import choose_normaliser
from asr.evaluation.streaming import listen, percentiles, score_streams
from asr.events import Event, Final, Partial
from tests.pipelines.bundles import save_nonsense
from tests.pipelines.test_transcribe import asr
from tests.recordings import speech


class Told:
    """Says the events of each push in turn; a push takes `work_s` of a clock that stands still otherwise."""

    def __init__(self, clock: list[float], says: Sequence[list[Event]], work_s: float) -> None:
        self.clock, self.says, self.work_s = clock, list(says), work_s

    def push(self, samples: np.ndarray) -> list[Event]:
        self.clock[0] += self.work_s
        return self.says.pop(0)

    def finish(self) -> list[Event]:
        self.clock[0] += self.work_s
        return self.says.pop(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def words(text: str, start_s: float = 0.5) -> tuple[Word, ...]:
    return tuple(Word(x, start_s + i, start_s + i + 0.5, 1.0) for i, x in enumerate(text.split()))


def partial(text: str, utterance: int = 0) -> Partial:
    return Partial("a", 0, utterance, text, max(0, text.rfind(" ")), words(text))


def final(text: str, utterance: int = 0) -> Final:
    return Final("a", 0, utterance, text, 0.0, 4.0, words(text))


SECONDS = np.zeros(4 * 16_000, np.float32)


def test_quick_work_is_added_to_the_time_at_which_the_chunk_was_spoken(clock: list[float]) -> None:
    run = listen(Told(clock, [[], [partial("one")], [], [], [final("one")]], 0.25), SECONDS, chunk_s=1.0)
    assert [(x.at_s, x.work_s) for x in run.heard] == [(2.25, 0.25), (4.5, 0.25)]  # finish waits for the fourth chunk
    assert (run.audio_s, run.work_s, run.finish_work_s) == (4.0, 1.25, 0.25)


def test_work_slower_than_speech_delays_all_that_follows(clock: list[float]) -> None:
    run = listen(Told(clock, [[], [partial("one")], [], [], [final("one")]], 2.0), SECONDS, chunk_s=1.0)
    assert [x.at_s for x in run.heard] == [5.0, 11.0]  # 1 + 2 + 2; then three more


def test_words_that_later_partials_take_back_are_counted_as_flicker(clock: list[float]) -> None:
    says: list[list[Event]] = [[partial("won")], [partial("one tow")], [partial("one tow three")], [], [final("one")]]
    run = listen(Told(clock, says, 0.25), SECONDS, chunk_s=1.0)
    score = score_streams([("one", run)], choose_normaliser("basic"))
    assert (score.partial_words, score.partial_words_changed) == (4, 1)  # "won"
    assert score.partial_words_changed_percent == 25.0


def test_delays_are_counted_from_the_words_of_the_final_and_changes_from_stable_words(clock: list[float]) -> None:
    says: list[list[Event]] = [[], [partial("one tow")], [partial("one tow three")], [], [final("one two three")]]
    run = listen(Told(clock, says, 0.25), SECONDS, chunk_s=1.0)
    score = score_streams([("one two three", run)], choose_normaliser("basic"))
    assert (score.partial_wer, score.final_wer) == (pytest.approx(100 / 3), 0.0)
    assert (score.partial_words, score.partial_words_changed) == (3, 0)  # only the final corrected "tow"
    assert (score.stable_words, score.stable_changed, score.stable_changed_percent) == (2, 1, 50.0)
    assert score.first_partial_s.p50 == 2.25 - 0.5
    assert score.word_delay_s.count == 2  # "two" was never shown
    assert score.word_delay_s.most == 2.25 - 1.0
    assert score.words_without_partial == 1
    assert score.final_delay_s.p50 == 4.5 - 3.0
    assert score.final_work_s.p50 == score.finish_work_s.p50 == 0.25
    assert score.real_time_factor == 1.25 / 4


def test_an_utterance_without_partial_is_first_seen_in_its_final(clock: list[float]) -> None:
    says: list[list[Event]] = [[], [final("one")], [partial("two", 1)], [], [final("", 1)]]
    run = listen(Told(clock, says, 0.0), SECONDS, chunk_s=1.0)
    score = score_streams([("one", run)], choose_normaliser("basic"))
    assert (score.utterances, score.first_partial_s.count, score.first_partial_s.p50) == (2, 1, 1.5)
    assert (run.text, run.partial_text) == ("one", "two")


def test_what_is_shown_again_after_a_long_utterance_was_cut_counts_once(clock: list[float]) -> None:
    whole = Partial("a", 0, 0, "one two three four", 13, words("one two three four", 0.0))
    cut = Final("a", 1, 0, "one two", 0.0, 1.9, words("one two", 0.0))
    rest = Final("a", 2, 1, "three four", 1.9, 4.0, words("three four", 2.0))
    run = listen(Told(clock, [[], [], [], [whole, cut], [rest]], 0.0), SECONDS, chunk_s=1.0)
    score = score_streams([("one two three four", run)], choose_normaliser("basic"))
    assert (score.stable_words, score.stable_changed) == (2, 0)
    assert score.word_delay_s.count == 4
    assert [score.first_partial_s.count, score.first_partial_s.most] == [2, 4.0]
    assert run.partial_text == "one two"


def test_nothing_heard_has_no_percentiles() -> None:
    assert percentiles([]).count == 0
    assert np.isnan(score_streams([], choose_normaliser("none")).real_time_factor)


def test_the_command_says_in_json_what_the_table_says(tmp_path: Path) -> None:
    model = save_nonsense(tmp_path / "nonsense")
    soundfile.write(tmp_path / "a.wav", speech(1), 16_000)
    (tmp_path / "dev.jsonl").write_text(json.dumps({"audio_filepath": "a.wav", "text": "nothing like it"}) + "\n")
    done = asr(
        *("evaluate", tmp_path / "dev.jsonl", "--streaming", "--delay-ms", 320, "--json", tmp_path / "r.json"),
        model=model,
    )
    assert done.returncode == 0, done.stderr
    assert "live, delay 320 ms" in done.stdout
    saved = json.loads((tmp_path / "r.json").read_text())
    found = saved["streaming"]
    assert found["utterances"] >= 1
    assert found["final_wer"] == saved["wer"]
    assert found["final_work_s"]["p95"] > 0
    whole = asr("evaluate", tmp_path / "dev.jsonl", "--json", tmp_path / "w.json", model=model)
    assert whole.returncode == 0
    assert json.loads((tmp_path / "w.json").read_text())["wer"] == saved["wer"]


def test_streaming_is_of_one_stream_of_our_own(tmp_path: Path) -> None:
    model = save_nonsense(tmp_path / "nonsense")
    (tmp_path / "dev.jsonl").write_text('{"audio_filepath": "a.wav", "text": "a"}\n')
    done = asr("evaluate", tmp_path / "dev.jsonl", "--streaming", "--workers", 2, model=model)
    assert done.returncode == 2
    assert "--workers" in done.stderr


def test_the_measures_import_neither_torch_nor_ray() -> None:
    script = f"import sys, {streaming.__name__}; sys.exit(bool({{'torch', 'ray'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
