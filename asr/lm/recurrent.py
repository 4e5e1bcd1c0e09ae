"""The recurrent language model: what comes next, from everything before, over subwords: so it has a say on any word.

A sentence starts from state zero with the boundary token (0), and the same token ends it. The output layer is the
embedding again (Press and Wolf 2017) behind a narrowing layer, so that a wide state does not need a wide vocabulary.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from asr.errors import AsrError, CheckpointError, ConfigError
from asr.lm.prefixes import PrefixTree
from asr.model.recurrent import Cell, CellState, RecurrentLayer, run
from asr.model.storage import Storage, packed, unpacked
from asr.model.units import SubwordUnits
from asr.settings import make_settings
from asr.writing import whole_file

BOUNDARY = 0  # before the first token of a sentence and after its last
_UNITS = "units"
State = tuple[CellState, ...]  # of each layer, first to last


@dataclass(frozen=True)
class RecurrentLMConfig:
    """The network's shape."""

    cell: Cell = "lstm"
    embedding: int = 192
    hidden: int = 384
    layers: int = 1
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.cell not in ("rnn", "gru", "lstm"):
            raise ConfigError("model.cell", f"expected rnn, gru or lstm, got {self.cell!r}")


class RecurrentLM(nn.Module):
    """Tokens (B, N), each seen with all before it -> log-probabilities of the token after it (B, N, V)."""

    def __init__(self, config: RecurrentLMConfig, size: int) -> None:
        """`size`: V, the boundary included."""
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(size, config.embedding)
        nn.init.normal_(self.embedding.weight, std=config.embedding**-0.5)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList()
        inputs = config.embedding
        for _ in range(config.layers):
            layer = RecurrentLayer(
                cell=config.cell, inputs=inputs, hidden=config.hidden, bidirectional=False, dropout=config.dropout
            )
            self.layers.append(layer)
            inputs = layer.size
        self.narrow = nn.Linear(inputs, config.embedding)
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Whole sentences from their boundary on; lengths (B,), padding of any token."""
        x = self.dropout(self.embedding(tokens))
        for layer in self.layers:
            x = layer(x, lengths)
        return self.read(self.narrow(x))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.bias.device

    def start(self, streams: int) -> State:
        """State zero."""
        parts = 2 if self.config.cell == "lstm" else 1
        zero = torch.zeros(streams, self.config.hidden, device=self.device)
        return tuple((zero,) * parts for _ in self.layers)

    def step(self, state: State, tokens: Tensor) -> tuple[State, Tensor]:
        """Go on from `state`, which is not written, over (B, N) tokens -> the state after, hidden (B, N, E)."""
        x, after = self.embedding(tokens), []
        for layer, before in zip(self.layers, state, strict=True):
            outputs, last = run(layer.forward_cell, x, before)  # type: ignore[arg-type]
            x = layer.combine(x, outputs, None, None)  # type: ignore[operator]
            after.append(last)
        return tuple(after), self.narrow(x)

    def read(self, hidden: Tensor) -> Tensor:
        """(…, E) -> log-probabilities (…, V)."""
        return nn.functional.linear(hidden, self.embedding.weight, self.bias).log_softmax(-1)


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A network with its units. Threads may share it."""

    network: RecurrentLM
    units: SubwordUnits

    def encode(self, text: str) -> list[int] | None:
        """A sentence's tokens with the boundary that ends it, or None where the units cannot write it."""
        ids = self.units.encode(text)
        return None if ids is None else [*ids, BOUNDARY]

    @torch.inference_mode()
    def score(self, texts: Sequence[str]) -> Tensor:
        """log p of each sentence, its end included; -inf where it cannot be written. (N,), on the CPU.

        What texts have in common at their beginning is computed once, and all texts advance together.
        """
        encoded = [self.encode(text) for text in texts]
        written = [i for i, ids in enumerate(encoded) if ids is not None]
        scores = torch.full((len(texts),), -torch.inf)
        if not written:
            return scores
        tree = PrefixTree.of([ids for ids in encoded if ids is not None])
        device = self.network.device
        state, hidden = self.network.start(1), list[Tensor]()
        for level in tree.levels:
            parents, tokens = level.parents.to(device), level.tokens.to(device)
            before = tuple(tuple(part[parents] for part in layer) for layer in state)
            state, made = self.network.step(before, tokens)
            hidden.append(made.flatten(0, 1))
        log_probs = self.network.read(torch.cat(hidden)).cpu()
        for i, (places, following) in zip(written, tree.paths, strict=True):
            scores[i] = log_probs[places, following].sum()
        return scores

    def quantised(self) -> "LanguageModel":
        """A copy that runs in dynamic int8 on the CPU (a plain RNN has no int8 form and stays fp32).

        Scores are within about 0.5 of fp32's, and move by as much with the company that texts are scored in: a call has
        one scale.
        """
        from asr.model.engine import quantise

        return LanguageModel(quantise(self.network), self.units)  # type: ignore[arg-type]


def save_language_model(model: LanguageModel, path: Path, *, storage: Storage = "fp32") -> None:
    """Write weights, shape and units as one safetensors file, complete or not at all. Raises AsrError."""
    units = torch.from_numpy(np.frombuffer(zlib.compress(model.units.model, 9), dtype=np.uint8).copy())
    weights = packed(model.network.state_dict(), storage)
    content = save({**weights, _UNITS: units}, {"language model": json.dumps(asdict(model.network.config))})
    with whole_file(path) as part:
        part.write_bytes(content)


def load_language_model(path: Path) -> LanguageModel:
    """What `save_language_model` wrote, in fp32, ready to run. Raises CheckpointError."""
    try:
        with safe_open(path, "pt") as file:
            given = json.loads((file.metadata() or {})["language model"])
            config = make_settings(RecurrentLMConfig, given, where=str(path))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        units = SubwordUnits(zlib.decompress(tensors.pop(_UNITS).numpy().tobytes()))
        network = RecurrentLM(config, len(units.tokens))
        network.load_state_dict(unpacked(tensors))
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError, zlib.error, AsrError) as error:
        raise CheckpointError(path, f"expected a recurrent language model's file: {error}") from error
    return LanguageModel(network.eval(), units)


def is_language_model(path: Path) -> bool:
    """Whether a file is a recurrent language model's, by its name."""
    return path.suffix == ".safetensors"
