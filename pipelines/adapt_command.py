"""`asr adapt`: a model goes on learning from somebody's own recordings; the worth is measured on held-out ones."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.outputs import check_folder
from pipelines.recognise_references import problems_of
from pipelines.score_tables import print_table

if TYPE_CHECKING:
    from asr.evaluation.compare import Comparison
    from asr.evaluation.datasets import Dataset, Problem, Reference
    from asr.evaluation.result import Result
    from asr.model.bundle import Bundle
    from asr.training.adaptation import AdaptConfig
    from asr.training.config import TrainingConfig

OWN, GENERAL = "own, held out", "general"


def adapt(
    recordings: Annotated[list[Path], typer.Argument(help="own recordings with their words: as `asr evaluate` reads")],
    out: Annotated[Path, typer.Option(help="folder of the new model")],
    model: Annotated[str, typer.Option(help="name or folder of the model to begin with")] = "small",
    general: Annotated[
        list[Path] | None, typer.Option(help="other people's recordings with words: a share is replayed; may repeat")
    ] = None,
    text: Annotated[
        list[Path] | None, typer.Option(help="text whose new words the model shall be able to write")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="what the data is, where it is not recognised")] = None,
    run: Annotated[Path | None, typer.Option(help="folder of the training; default runs/adapt-<name of --out>")] = None,
    passes: Annotated[float, typer.Option(help="over the own recordings")] = 10.0,
    rate: Annotated[float, typer.Option(help="learning rate at its highest")] = 3.0e-4,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
) -> None:
    """Adapt a model to a voice, a room, a subject. Run again after a stop, it goes on where it was.

    Exit status 1 where a recording could not be used: the rest was, and the model is there.
    """
    from asr.evaluation.datasets import read_datasets, with_own_names
    from asr.model.bundle import refuse_to_replace
    from asr.training.adaptation import AdaptConfig

    refuse_to_replace(out)
    folder = run or Path("runs") / f"adapt-{out.name}"
    check_folder(out)
    check_folder(folder)
    config = AdaptConfig(passes=passes, rate=rate)
    own = with_own_names([x for path in recordings for x in read_datasets(path, kind=kind)])
    others = with_own_names([x for path in general or [] for x in read_datasets(path, kind=kind)])
    if not others:
        print("no --general recordings: nothing is replayed, and what is forgotten cannot be measured", file=sys.stderr)
    work = Work(Path(model).name, out, folder, device, config)
    before, comparison = work.go(model, own, others, text or [])
    show(comparison)
    print(out)
    if failed := sum(problem.is_failure for problem in before.problems):
        print(f"asr: {failed} recordings could not be used; they are named above", file=sys.stderr)
        raise typer.Exit(1)


@dataclass(frozen=True)
class Work:
    """One adaptation from a model's name to a new model's folder."""

    name: str
    out: Path
    folder: Path
    device: str
    config: "AdaptConfig"

    def go(
        self, model: str, own: Sequence["Dataset"], others: Sequence["Dataset"], texts: Sequence[Path]
    ) -> tuple["Result", "Comparison"]:
        """Train, write the bundle, and measure it beside the one it came from.

        What cannot be used is said before the training, and in the problems of the result. Raises AsrError.
        """
        from asr.errors import ManifestError
        from asr.evaluation.compare import compare
        from asr.evaluation.normalise import choose_normaliser
        from asr.model.bundle import load_bundle
        from asr.recognizer import find_model
        from asr.training.adaptation import held_out, prepare, share_of, training_config

        initial = find_model(model)
        bundle = load_bundle(initial)
        train, held = held_out(_all(own), self.config, where=", ".join(x.name for x in own))
        replayed: list[Reference] = []
        general_held: list[Reference] = []
        if others:
            replayed, general_held = held_out(_all(others), self.config, where=", ".join(x.name for x in others))
        made = prepare(train, self.folder / "own", bundle.units.values(), self.config)
        wanted = share_of(replayed, made.seconds * min(self.config.passes, 4))
        shown = prepare(wanted, self.folder / "general", bundle.units.values(), self.config) if wanted else None
        words = [*made.texts, *_lines(texts)]
        sets = [_as_set(OWN, held), *([_as_set(GENERAL, general_held)] if general_held else [])]
        problems = (*problems_of((*own, *others)), *made.problems, *(shown.problems if shown else ()))
        _say(problems)
        settings = training_config(bundle, initial, made, shown, self.config)
        self._claim(settings)
        before = self._measure(initial, sets, "before")
        _say(before.problems)
        if not any(answer.dataset == OWN for answer in before.answers):
            raise ManifestError(OWN, f"none of the {len(held)} recordings can be heard, so the worth cannot be told")
        trained = self._train(settings, f"{made.seconds / 60:.1f} min of own speech, {len(held)} recordings held out")
        self._write(replace(bundle, model=trained.model, metrics=bundle.metrics | trained.metrics), words, None)
        after = self._measure(self.out, sets, "after")
        comparison = compare(before, after, choose_normaliser("basic"))
        self._write(replace(bundle, model=trained.model, metrics=bundle.metrics | trained.metrics), words, comparison)
        return replace(before, problems=(*problems, *before.problems)), comparison

    def _claim(self, settings: "TrainingConfig") -> None:
        """Make the folder this run's. Raises ConfigError where it holds another one."""
        from asr.errors import ConfigError
        from asr.training.adaptation import fingerprint

        mark = self.folder / "fingerprint"
        if mark.exists() and mark.read_text() != fingerprint(settings):
            raise ConfigError(
                str(self.folder), "holds a run with other recordings or settings; give --run, or delete it"
            )
        mark.write_text(fingerprint(settings))

    def _train(self, settings: "TrainingConfig", what: str) -> "Bundle":
        """The run, begun or resumed."""
        import torch

        from asr.model.engine import choose_device, cores
        from asr.training.loop import TrainingRun
        from pipelines.train_command import Reporter

        torch.set_num_threads(cores())  # measuring left one
        training = TrainingRun(settings, self.folder, device=str(choose_device(self.device)))
        going = f", going on after step {training.state.step}" if training.state.step else ""
        print(f"{what}; {settings.optimiser.total_steps} steps{going}", file=sys.stderr)
        with Reporter(self.folder) as reporter:
            training.run(reporter)
        return training.bundle()

    def _measure(self, model: Path, sets: Sequence["Dataset"], name: str) -> "Result":
        from pipelines.recognise_references import EngineChoice, recognise

        engine = EngineChoice(str(model), self.device, "auto", "auto")
        return replace(recognise(sets, engine, workers=1), name=name)

    def _write(self, bundle: "Bundle", words: Sequence[str], comparison: "Comparison | None") -> None:
        from asr.model.bundle import save_bundle

        attachments = dict(bundle.attachments)
        if lexicon := _with_new_words(bundle, words, self.folder):
            attachments |= lexicon
        card = bundle.card + (_card_of(self.name, comparison) if comparison else "")
        save_bundle(replace(bundle, attachments=attachments, card=card), self.out, storage="int8")


def show(comparison: "Comparison") -> None:
    """WER before and after of each set, and the verdict in words."""
    print_table(_table(comparison))
    for name, d in (comparison.sets or {OWN: comparison.overall}).items():
        print(f"{name}: {'better' if d.high < 0 else 'worse' if d.low > 0 else 'no difference shown'}")


def _table(comparison: "Comparison") -> list[list[str]]:
    """Heading, and a row for each set."""
    heading, *rows = comparison.table
    return [heading, *rows[:-1]] if comparison.sets else [heading, [OWN, *rows[0][1:]]]


def _all(datasets: Sequence["Dataset"]) -> list["Reference"]:
    """Every reference with words and sound, its name made one of a kind by its set's."""
    from asr.evaluation.normalise import basic

    return [
        replace(x, id=f"{dataset.name}/{x.id}")
        for dataset in datasets
        for x in dataset.references
        if x.audio is not None and basic(x.text)
    ]


def _say(problems: Sequence["Problem"]) -> None:
    for problem in problems:
        print(f"  {problem}", file=sys.stderr)


def _as_set(name: str, references: Sequence["Reference"]) -> "Dataset":
    from asr.evaluation.datasets import Dataset

    return Dataset(name, "held out", tuple(references))


def _lines(texts: Sequence[Path]) -> list[str]:
    from asr.data.lines import numbered_lines
    from asr.evaluation.normalise import basic

    return [basic(line) for path in texts for _, line in numbered_lines(path)]


def _with_new_words(bundle: "Bundle", texts: Sequence[str], folder: Path) -> dict[str, Path]:
    """A lexicon with the words that the bundle's lacks, pronounced by dictionary, rule or network; {} for none."""
    from asr.decoding.decoder import LEXICON
    from asr.decoding.lexicon import load_lexicon, phoneme_lexicon, save_lexicon

    if LEXICON not in bundle.attachments:
        return {}
    lexicon = load_lexicon(bundle.attachments[LEXICON])
    new = sorted({word for text in texts for word in text.split()} - lexicon.keys())
    added = phoneme_lexicon(new, derived=True, guessed=True)
    if not added:
        return {}
    print(f"{len(added)} new words: {', '.join(list(added)[:10])}{' …' if len(added) > 10 else ''}", file=sys.stderr)
    save_lexicon(lexicon | added, folder / LEXICON)
    return {LEXICON: folder / LEXICON}


def _card_of(name: str, comparison: "Comparison") -> str:
    heading, *rows = (f"| {' | '.join(row)} |" for row in _table(comparison))
    about = f"\n## Adapted\n\nFrom `{name}` with the user's own recordings (`asr adapt`).\n"
    return "\n".join([about, heading, "|---" * (heading.count("|") - 1) + "|", *rows]) + "\n"
