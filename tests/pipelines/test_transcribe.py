import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio.parts import Part
from asr.evaluation.datasets import read_datasets
from asr.evaluation.hypotheses import answer_with_hypotheses, read_hypotheses
from asr.output.formats import FORMATS
from asr.recognizer import MODELS, Recognizer
from pipelines.batch.pool import Heard, Job, PoolConfig, Worker
from tests.pipelines.bundles import save_nonsense
from tests.recordings import AUDIO, RECORDINGS, speech, tone
from tests.test_reader import cut, encode


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_nonsense(tmp_path_factory.mktemp("models") / "nonsense")


def asr(*arguments: object, stdin: bytes | None = None, model: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("asr")), *map(str, arguments)]
    command += ["--model", str(model)] if model else []
    done = subprocess.run(command, input=stdin, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Good recordings of several kinds and three bad ones."""
    folder = tmp_path / "mixed"
    (folder / "deep").mkdir(parents=True)
    samples, _ = soundfile.read(RECORDINGS[0], dtype="float32")
    shutil.copy(RECORDINGS[0], folder / "good.opus")
    shutil.copy(RECORDINGS[1], folder / "deep" / "good.opus")
    import soxr

    soundfile.write(folder / "telephone.mp3", np.stack([soxr.resample(samples, 16_000, 8_000)] * 2, 1), 8_000)
    soundfile.write(folder / "studio.wav", soxr.resample(samples, 16_000, 96_000), 96_000, subtype="PCM_24")
    encode(folder / "phone.m4a", "aac", 44_100)
    (folder / "text.wav").write_text("this is not sound\n" * 10)
    (folder / "empty.wav").write_bytes(b"")
    soundfile.write(folder / "cut.flac", tone(3.0), 16_000)
    cut(folder / "cut.flac")
    return folder


def test_the_good_ones_come_out_and_the_bad_ones_are_named_with_reasons(mixed: Path, model: Path) -> None:
    done = asr("transcribe", mixed, model=model)
    assert done.returncode == 1
    heard = dict(line.split("\t") for line in done.stdout.splitlines())
    assert sorted(heard) == [
        str(mixed / name) for name in ("deep/good.opus", "good.opus", "phone.m4a", "studio.wav", "telephone.mp3")
    ]
    assert heard[str(mixed / "good.opus")]
    for name, reason in [("text.wav", "found text"), ("empty.wav", "0 bytes"), ("cut.flac", "truncated")]:
        assert any(name in line and reason in line for line in done.stderr.splitlines()), done.stderr
    assert "5 of 8 recordings" in done.stderr


def test_every_format_is_mirrored_under_out(mixed: Path, model: Path, tmp_path: Path) -> None:
    done = asr("transcribe", mixed, "--format", "txt,json,srt,vtt,ctm,tsv", "--out", tmp_path / "out", model=model)
    assert (done.returncode, done.stdout) == (1, "")
    written = sorted(
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    stems = ("deep/good", "good", "phone", "studio", "telephone")
    assert written == sorted(f"{stem}.{kind}" for stem in stems for kind in ("txt", "json", "srt", "vtt", "ctm", "tsv"))
    loaded = json.loads((tmp_path / "out" / "deep" / "good.json").read_text())
    assert loaded["text"] == (tmp_path / "out" / "deep" / "good.txt").read_text().strip()


def test_a_file_stdin_a_glob_and_a_manifest_give_the_same_words(model: Path) -> None:
    [path] = [path for path in RECORDINGS if "p248" in path.name]
    alone = asr("transcribe", path, model=model)
    piped = asr("transcribe", "-", stdin=path.read_bytes(), model=model)
    globbed = asr("transcribe", f"{AUDIO}/vctk-p248*.opus", model=model)
    listed = asr("transcribe", AUDIO / "manifest.jsonl", model=model)
    assert alone.returncode == piped.returncode == globbed.returncode == listed.returncode == 0
    assert alone.stdout == piped.stdout == globbed.stdout != ""
    assert f"{path}\t{alone.stdout.strip()}" in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["no/such/file.wav"], 2, "there is no such file"),
        (["no_match_*.wav"], 2, "no file matches"),
        ([str(AUDIO), "--format", "docx"], 2, "expected some of"),
        ([str(AUDIO), "--format", "txt,srt"], 2, "need a folder"),
        ([str(AUDIO), "--model", "gigantic"], 2, "expected a model's folder"),
        ([str(AUDIO), "--device", "abacus"], 2, "expected auto, cpu, cuda or mps"),
        ([str(AUDIO), "--precision", "int3"], 2, "expected auto, fp32, bf16 or int8"),
        ([], 2, "Missing argument"),
    ],
)
def test_misuse_is_said_and_shows_in_the_status(arguments: list[str], status: int, said: str, model: Path) -> None:
    done = asr("transcribe", *arguments, model=None if "--model" in arguments else model)
    assert done.returncode == status
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_an_output_folder_that_is_a_file_is_misuse(tmp_path: Path, model: Path) -> None:
    (tmp_path / "out").write_text("mine")
    done = asr("transcribe", RECORDINGS[0], "--out", tmp_path / "out", model=model)
    assert (done.returncode, "is a file" in done.stderr) == (2, True)


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    shutil.copy(RECORDINGS[0], tmp_path / "talk.txt")  # the content decides what it is
    (tmp_path / "list.json").write_text('{"audio_filepath": "list.opus"}\n')
    shutil.copy(RECORDINGS[0], tmp_path / "list.opus")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for given, form in (("talk.txt", "txt"), ("list.json", "srt,json")):
        done = asr("transcribe", tmp_path / given, "--out", tmp_path, "--format", form)
        assert (done.returncode, "it is read, and would be lost" in done.stderr) == (2, True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_two_recordings_that_differ_in_their_suffix_alone_are_written_with_it(tmp_path: Path, model: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    samples, _ = soundfile.read(RECORDINGS[0], dtype="float32")
    for name in ("same.wav", "other.wav"):
        soundfile.write(folder / name, samples, 16_000)
    assert asr("transcribe", folder, "--out", out, model=model).returncode == 0
    first = (out / "same.txt").read_text()
    soundfile.write(folder / "same.flac", samples[: len(samples) // 2], 16_000)
    (folder / "minutes.docx").touch()
    done = asr("transcribe", folder, "--out", out, "--format", "txt,json", model=model)
    assert done.returncode == 0
    assert "same.flac, same.wav" in done.stderr
    assert done.stderr.count(".docx 1") == 1
    names = [f"{stem}.{kind}" for stem in ("other", "same.flac", "same.wav") for kind in ("json", "txt")]
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, "same.txt"])
    assert (out / "same.txt").read_text() == (out / "same.wav.txt").read_text() == first


def test_parts_of_a_recording_are_transcribed_alone_and_timed_in_the_whole(tmp_path: Path, model: Path) -> None:
    both = speech(2)
    lasts = [soundfile.info(path).duration for path in RECORDINGS[:2]]
    second_s = lasts[0] + 1.0
    soundfile.write(tmp_path / "a.wav", both, 16_000)
    places = zip((0.0, second_s), lasts, strict=True)
    rows = [{"audio_filepath": "a.wav", "text": "w", "offset": x, "duration": y} for x, y in places]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    assert asr("transcribe", tmp_path / "m.jsonl", "--out", out, "--format", "json", model=model).returncode == 0
    ends = [round(1000 * x) for x in (lasts[0], second_s, second_s + lasts[1])]
    names = [f"a@0-{ends[0]}", f"a@{ends[1]}-{ends[2]}"]
    assert sorted(path.stem for path in out.iterdir()) == sorted(names)
    heard = [json.loads((out / f"{name}.json").read_text()) for name in names]
    recognizer = Recognizer.load(model)
    for found, path, start_s in zip(heard, RECORDINGS, (0.0, second_s), strict=False):
        soundfile.write(tmp_path / "alone.wav", soundfile.read(path, dtype="float32")[0], 16_000)
        alone = recognizer.transcribe(tmp_path / "alone.wav")
        assert found["text"] == alone.text != ""
        starts = [utterance["start_s"] for utterance in found["utterances"]]
        assert starts == pytest.approx([x.start_s + start_s for x in alone.utterances], abs=0.002)
    job = Job("a part", tmp_path / "a.wav", Part(tmp_path / "a.wav", second_s, lasts[1]))
    of_worker = Worker(PoolConfig(1, str(model))).transcribe(job)
    assert isinstance(of_worker, Heard)
    assert json.loads(FORMATS["json"](of_worker.transcript)) == heard[1] | {"name": "a part"}
    [dataset] = read_datasets(tmp_path / "m.jsonl")
    answers, problems = answer_with_hypotheses([dataset], read_hypotheses(out), where=str(out))
    assert [answer.hypothesis for answer in answers] == [found["text"] for found in heard]
    assert problems == []


def test_a_recording_in_opposite_phase_is_heard_and_named(tmp_path: Path, model: Path) -> None:
    samples, _ = soundfile.read(RECORDINGS[0], dtype="float32")
    soundfile.write(tmp_path / "mono.wav", samples, 16_000)
    soundfile.write(tmp_path / "stereo.wav", np.stack([samples, -samples], 1), 16_000)
    done = asr("transcribe", tmp_path, model=model)
    assert done.returncode == 0
    mono, stereo = (line.split("\t")[1] for line in done.stdout.splitlines())
    assert mono == stereo != ""
    said = [line for line in done.stderr.splitlines() if "opposite phase" in line]
    assert [line.startswith(f"asr: {tmp_path / 'stereo.wav'}: ") for line in said] == [True]


def test_one_after_another_side_by_side_and_alone_give_the_same(model: Path, tmp_path: Path) -> None:
    recognizer = Recognizer.load(model)
    soundfile.write(tmp_path / "long.wav", speech(8), 16_000)
    paths = [*RECORDINGS, tmp_path / "long.wav"]
    together = list(recognizer.transcribe_many((str(path), path) for path in paths))
    assert together == [recognizer.transcribe(path) for path in paths]


def test_a_recording_is_measured_in_the_utterances_that_are_transcribed(model: Path, tmp_path: Path) -> None:
    recognizer, samples = Recognizer.load(model), speech(8)
    soundfile.write(tmp_path / "long.wav", samples, 16_000, subtype="FLOAT")
    utterances = recognizer.log_probs_of_recording(samples)
    read = [recognizer.decoder.read(x, frame_s=recognizer.frame_s, end_s=1e9)[0] for x in utterances]
    expected = [[word.text for word in x.words] for x in recognizer.transcribe(tmp_path / "long.wav").utterances]
    assert [[word.text for word in words] for words in read] == expected
    assert len(expected) > 1


def test_help_names_the_commands_at_once() -> None:
    done = asr("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("transcribe", "train", "evaluate"))


@pytest.mark.skipif(not (MODELS / "small").is_dir(), reason="the package holds no model yet")
def test_the_packaged_model_hears_most_words_of_the_samples() -> None:
    import jiwer

    recognizer = Recognizer.load()
    references = [path.with_suffix(".txt").read_text().strip() for path in RECORDINGS]
    assert jiwer.wer(references, [recognizer.transcribe(path).text for path in RECORDINGS]) < 0.6


def test_odd_names_cost_nobody_else_a_word(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    names = [b"bad\xff.opus", ("long" + "\u0436" * 122).encode() + b".opus", b"a\tb.opus", b"plain.opus"]
    for name in names:
        shutil.copy(RECORDINGS[0], os.path.join(os.fsencode(folder), name))  # noqa: PTH118  (bytes)
    done = asr("transcribe", folder, "--out", tmp_path / "out", "--format", "json", model=model)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert len(list((tmp_path / "out").glob("*.json"))) == len(names)
    printed = asr("transcribe", folder, model=model)
    assert printed.returncode == 0
    assert all(line.count("\t") == 1 for line in printed.stdout.splitlines())


def test_a_line_that_names_no_recording_costs_only_itself(tmp_path: Path, model: Path) -> None:
    shutil.copy(RECORDINGS[0], tmp_path / "a.opus")
    lines = ["\ufeff" + json.dumps({"audio_filepath": "a.opus", "text": "x \u2028 y"}, ensure_ascii=False)]
    lines += ["{", "[]", '{"audio_filepath": 5}', '{"audio_filepath": ""}', '{"audio_filepath": "a", "offset": "x"}']
    (tmp_path / "list.jsonl").write_text("\n".join(lines), encoding="utf-8")
    done = asr("transcribe", tmp_path / "list.jsonl", model=model)
    assert done.returncode == 1
    assert done.stdout == asr("transcribe", RECORDINGS[0], model=model).stdout
    assert [f"list.jsonl:{number}:" in done.stderr for number in range(1, 7)] == [False, True, True, True, True, True]


def test_of_a_recording_that_ends_too_early_the_words_that_are_there_are_kept(tmp_path: Path, model: Path) -> None:
    soundfile.write(tmp_path / "whole.wav", speech(2), 16_000)
    whole = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[:-2000])
    alone = asr("transcribe", tmp_path / "cut.wav", model=model)
    assert (alone.returncode, "truncated" in alone.stderr) == (1, True)
    assert alone.stdout.split()[:3] == asr("transcribe", tmp_path / "whole.wav", model=model).stdout.split()[:3]
    both = asr("transcribe", tmp_path, "--out", tmp_path / "out", model=model)
    assert (both.returncode, "1 of 2 recordings" in both.stderr) == (1, True)
    assert (tmp_path / "out" / "cut.txt").read_text() == alone.stdout
