"""Text that a recurrent language model makes up."""

import torch

from asr.errors import ConfigError
from asr.lm.recurrent import BOUNDARY, LanguageModel

LONGEST = 200  # tokens


@torch.inference_mode()
def sample(
    model: LanguageModel, *, count: int, beginning: str = "", temperature: float = 1.0, seed: int = 0
) -> list[str]:
    """`count` sentences that go on from `beginning`. Temperature below 1: likelier ones. Raises ConfigError."""
    given = model.units.encode(beginning)
    if given is None:
        raise ConfigError("beginning", f"expected text that the model's units can write, got {beginning!r}")
    if not 0 < temperature < float("inf") or count < 1:
        raise ConfigError(
            "sample", f"expected a temperature above 0 and a count of 1 or more, got {temperature}, {count}"
        )
    random = torch.Generator().manual_seed(seed)
    tokens = torch.tensor([[BOUNDARY, *given]] * count)
    state, hidden = model.network.step(model.network.start(count), tokens)
    written = [list(given) for _ in range(count)]
    open_ones = set(range(count))
    for _ in range(LONGEST):
        chances = (model.network.read(hidden[:, -1]) / temperature).softmax(-1)
        following = torch.multinomial(chances, 1, generator=random)
        for i, token in enumerate(following[:, 0].tolist()):
            if i in open_ones and token == BOUNDARY:
                open_ones.remove(i)
            elif i in open_ones:
                written[i].append(token)
        if not open_ones:
            break
        state, hidden = model.network.step(state, following)
    return [model.units.decode(ids) for ids in written]
