"""`asr lm`: language models from text, and what they are worth."""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pipelines.outputs import check_files, check_folder, lock, save

app = typer.Typer(
    help="Language models: n-grams and recurrent ones from text; measure them; let them write.", no_args_is_help=True
)


@app.command()
def build(
    texts: Annotated[
        list[Path], typer.Argument(help="one sentence a line, words as they shall be written; plain or .xz")
    ],
    out: Annotated[Path, typer.Option(help="the ARPA file to write")],
    order: Annotated[int, typer.Option(min=1, help="words in the longest n-gram")] = 3,
    prune: Annotated[
        str, typer.Option(help="drop n-grams seen at most so often, by order: '0 1 2'; 0 keeps all")
    ] = "0",
    entropy: Annotated[
        float | None,
        typer.Option(min=0.0, help="then drop n-grams whose loss raises perplexity by less than this, as 1e-8"),
    ] = None,
    words: Annotated[
        str | None, typer.Option(help="only these words: a file of them, or how many of the commonest")
    ] = None,
    scratch: Annotated[Path | None, typer.Option(help="folder for temporary files, some 20 bytes a word")] = None,
) -> None:
    """Modified Kneser-Ney n-gram model, equal to KenLM's lmplz."""
    from asr.errors import ConfigError
    from asr.lm.arpa import write_arpa
    from asr.lm.counting import count_ngrams, read_lines
    from asr.lm.kneser_ney import choose_words, estimate, pruning_thresholds
    from asr.lm.pruning import prune_by_entropy

    try:
        thresholds = [int(number) for number in prune.replace(",", " ").split()]
    except ValueError as error:
        raise ConfigError("--prune", f"expected numbers such as '0 1 2', got {prune!r}") from error
    pruning_thresholds(thresholds, order)
    if words and not words.isdecimal() and not Path(words).exists():
        raise ConfigError("--words", f"expected a number or a file of words, got {words!r}; there is no such file")
    check_files(out, read=(*texts, Path(words) if words else None))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=scratch, prefix="asr-lm-") as folder:
        counts = count_ngrams(read_lines(texts), order=order, scratch=Path(folder))
        print(f"counted in {time.monotonic() - started:.0f} s", file=sys.stderr)
        orders = estimate(counts, prune=thresholds, words=choose_words(counts, words))
        if entropy is not None:
            orders = prune_by_entropy(counts, orders, entropy)
        written = save(out, partial(write_arpa, counts, orders))
    if not written:
        raise typer.Exit(1)
    sizes = " + ".join(str(int(order.kept.sum())) for order in orders)
    print(f"{out}: {sizes} n-grams, {time.monotonic() - started:.0f} s", file=sys.stderr)


@app.command()
def pack(
    model: Annotated[Path, typer.Argument(help="an ARPA file, or a recurrent model's .safetensors")],
    out: Annotated[Path, typer.Option(help="the .npz or .safetensors to write: a tenth, a quarter of its size")],
) -> None:
    """A language model as the decoder reads it: scores, weights in 8 bit."""
    from asr.errors import ConfigError
    from asr.lm.automaton import read_arpa, save_ngrams
    from asr.lm.recurrent import is_language_model, load_language_model, save_language_model

    if is_language_model(model) != is_language_model(out):
        raise ConfigError(
            out, "expected .safetensors for a recurrent model, and another ending for n-grams: it tells which"
        )
    check_files(out, read=[model])
    if is_language_model(model):
        write: Callable[[Path], None] = partial(save_language_model, load_language_model(model), storage="int8")
    else:
        write = partial(save_ngrams, read_arpa(model))
    if not save(out, write):
        raise typer.Exit(1)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB", file=sys.stderr)


@app.command()
def perplexity(
    model: Annotated[
        Path, typer.Argument(help="ARPA file, what `asr lm pack` wrote, or a recurrent model's .safetensors")
    ],
    texts: Annotated[list[Path], typer.Argument(help="one sentence a line, plain or .xz")],
    json: Annotated[bool, typer.Option("--json", help="as one JSON object")] = False,
) -> None:
    """How many words the model hesitates between, on average."""
    from dataclasses import asdict
    from json import dumps

    from asr.lm.counting import read_lines
    from asr.lm.perplexity import perplexity as measure
    from asr.lm.perplexity import recurrent_perplexity
    from asr.lm.recurrent import is_language_model, load_language_model

    if is_language_model(model):
        found = recurrent_perplexity(load_language_model(model), read_lines(texts))
    else:
        found = measure(model, read_lines(texts))
    numbers = asdict(found) | {"perplexity": found.including_unknown, "without_unknown": found.excluding_unknown}
    if json:
        print(dumps(numbers))
        return
    for name, value in numbers.items():
        print(f"{name}\t{value:.2f}" if isinstance(value, float) else f"{name}\t{value}")


@app.command()
def train(
    config: Annotated[Path, typer.Option(help="YAML with the run's settings (configs/lm_*.yaml)")],
    run: Annotated[Path | None, typer.Option(help="folder of the run; default runs/<name of the config>")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="such as optimiser.rate=0.001; may repeat")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    threads: Annotated[int, typer.Option(help="processor cores to use; 0: all")] = 0,
) -> None:
    """Train a recurrent language model over subwords, or go on with a run that was stopped."""
    import dataclasses

    import torch

    from asr.model.engine import choose_device, cores
    from asr.settings import read_settings
    from asr.training.language import LanguageProgress, LanguageRun, LanguageTraining

    torch.set_num_threads(threads or cores())
    given = read_settings(LanguageTraining, config, change or [])
    texts = [config.parent / text for text in given.texts]
    folder = run or Path("runs") / config.stem
    check_folder(folder)
    settings = dataclasses.replace(given, texts=texts, units=config.parent / given.units)
    said = time.monotonic()

    def report(progress: LanguageProgress) -> None:
        nonlocal said
        measured = "" if progress.perplexity is None else f"  perplexity {progress.perplexity:.1f} a word, held out"
        if measured or time.monotonic() - said > 10:
            said = time.monotonic()
            done = f"step {progress.step}/{progress.total_steps}  loss {progress.loss:.3f} a token"
            seen = f"{progress.trained_tokens / 1e6:.2f} M tokens, {progress.speed:.0f} a second"
            print(f"{done}  {seen}{measured}", file=sys.stderr, flush=True)

    with lock(folder / "lock", "--run"):
        training = LanguageRun(settings, folder, device=str(choose_device(device)))
        weights = sum(x.numel() for x in training.state.model.parameters())
        sizes = f"{len(training.learned)} sentences, {weights} weights"
        print(f"{folder}: {sizes}, from step {training.state.step}", file=sys.stderr)
        training.run(report)
    print(folder / "last.safetensors")


@app.command()
def sample(
    model: Annotated[Path, typer.Argument(help="a recurrent model's .safetensors")],
    beginning: Annotated[str, typer.Argument(help="words to go on from")] = "",
    count: Annotated[int, typer.Option(help="sentences")] = 5,
    temperature: Annotated[float, typer.Option(help="below 1: likelier and duller")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1)] = 0,
) -> None:
    """Sentences that a recurrent model makes up."""
    from asr.lm.recurrent import load_language_model
    from asr.lm.sampling import sample as write

    made = write(load_language_model(model), count=count, beginning=beginning, temperature=temperature, seed=seed)
    for text in made:
        print(text)
