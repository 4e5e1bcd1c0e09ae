"""`asr lm`: language models from text, and what they are worth."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Language models: build one from text, measure it.", no_args_is_help=True)


@app.command()
def build(
    texts: Annotated[
        list[Path], typer.Argument(help="one sentence a line, words as they shall be written; plain or .xz")
    ],
    out: Annotated[Path, typer.Option(help="the ARPA file to write")],
    order: Annotated[int, typer.Option(help="words in the longest n-gram")] = 3,
    prune: Annotated[
        str, typer.Option(help="drop n-grams seen at most so often, by order: '0 1 2'; 0 keeps all")
    ] = "0",
    entropy: Annotated[
        float | None, typer.Option(help="then drop n-grams whose loss raises perplexity by less than this, as 1e-8")
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
    from asr.lm.kneser_ney import choose_words, estimate
    from asr.lm.pruning import prune_by_entropy

    try:
        thresholds = [int(number) for number in prune.replace(",", " ").split()]
    except ValueError as error:
        raise ConfigError("--prune", f"expected numbers such as '0 1 2', got {prune!r}") from error
    if len(thresholds) > order:
        raise ConfigError("--prune", f"expected at most {order} numbers, one for each order, got {prune!r}")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=scratch, prefix="asr-lm-") as folder:
        counts = count_ngrams(read_lines(texts), order=order, scratch=Path(folder))
        print(f"counted in {time.monotonic() - started:.0f} s", file=sys.stderr)
        orders = estimate(counts, prune=thresholds, words=choose_words(counts, words))
        if entropy is not None:
            orders = prune_by_entropy(counts, orders, entropy)
        sizes = write_arpa(counts, orders, out)
    print(f"{out}: {' + '.join(map(str, sizes))} n-grams, {time.monotonic() - started:.0f} s", file=sys.stderr)


@app.command()
def perplexity(
    model: Annotated[Path, typer.Argument(help="ARPA file or KenLM binary")],
    texts: Annotated[list[Path], typer.Argument(help="one sentence a line, plain or .xz")],
    json: Annotated[bool, typer.Option("--json", help="as one JSON object")] = False,
) -> None:
    """How many words the model hesitates between, on average."""
    from dataclasses import asdict
    from json import dumps

    from asr.lm.counting import read_lines
    from asr.lm.perplexity import perplexity as measure

    found = measure(model, read_lines(texts))
    numbers = asdict(found) | {"perplexity": found.including_unknown, "without_unknown": found.excluding_unknown}
    if json:
        print(dumps(numbers))
        return
    for name, value in numbers.items():
        print(f"{name}\t{value:.2f}" if isinstance(value, float) else f"{name}\t{value}")
