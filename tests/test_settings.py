from pathlib import Path

import pytest

from asr.errors import ConfigError
from asr.settings import read_settings
from asr.training.config import TrainingConfig
from asr.training.language import LanguageTraining
from pipelines.train_command import read_training_config

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
LANGUAGE = [path for path in CONFIGS if path.stem.startswith("lm_")]
TRAINING = [path for path in CONFIGS if "\noptimiser:" in path.read_text() and path not in LANGUAGE]


def written(folder: Path, text: str) -> Path:
    (folder / "run.yaml").write_text(text)
    return folder / "run.yaml"


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_every_training_config_can_be_read_and_says_what_it_is_for(path: Path) -> None:
    assert read_training_config(path, []).data.train
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", LANGUAGE, ids=lambda path: path.stem)
def test_every_language_model_config_can_be_read_and_says_what_it_is_for(path: Path) -> None:
    assert read_settings(LanguageTraining, path, []).texts
    assert path.read_text().startswith("# ")


def test_a_file_gives_differences_and_changes_go_on_top(tmp_path: Path) -> None:
    path = written(tmp_path, "data: {train: {a.jsonl: 2}}\nmodel: {hidden: 64}\n")
    config = read_settings(TrainingConfig, path, ["model.layers=7", "optimiser.rate=0.5"])
    assert (config.model.hidden, config.model.layers, config.optimiser.rate) == (64, 7, 0.5)
    assert config.model.cell == "lstm"
    assert config.data.train == {Path("a.jsonl"): 2.0}


@pytest.mark.parametrize("change", ["data.train.a=1=", "seed={", "seed.x=1", "seed"])
def test_a_change_that_cannot_be_made_is_named(tmp_path: Path, change: str) -> None:
    path = written(tmp_path, "data: {train: {a: 1}}\nseed: 3\naugmentation: null\n")
    with pytest.raises(ConfigError):
        read_settings(TrainingConfig, path, [change])


def test_a_change_may_fill_what_was_null(tmp_path: Path) -> None:
    path = written(tmp_path, "data: {train: {a: 1}}\naugmentation: null\n")
    config = read_settings(TrainingConfig, path, ["augmentation.room_chance=0.5"])
    assert config.augmentation is not None
    assert config.augmentation.room_chance == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: {train: {a: 1}}\nmodel: {hiden: 64}\n", "hiden: unknown; expected one of"),
        ("data: {train: {a: 1}}\nmodel: {hidden: many}\n", "hidden"),
        ("data: {train: {a: 1}}\nmodel: {heads: {x: {units: phoneme, layer: 1, wait: 2}}}\n", "wait"),
        ("data: {train: {a: 1}}\naugmentation: {speeed: 1}\n", "speeed"),
        ("data: {train: {}}\n", "nothing to train on"),
        ("data: [", "can be read"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_settings(TrainingConfig, written(tmp_path, text))
