"""One recurrent layer: a plain tanh RNN, a GRU or an LSTM, in one direction or in both.

The two directions are separate cells, so that each may be run on its own: latency control (`asr.model.latency`)
carries the state of the
forward cell from window to window and starts the backward cell afresh in each.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Literal, cast

import torch
from torch import Tensor, nn

from asr.model.subsampling import mask

Cell = Literal["rnn", "gru", "lstm"]
CellState = tuple[Tensor, ...]  # (h,) of an RNN or GRU, (h, c) of an LSTM; each (B, H)

_CELLS: dict[Cell, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentLayer(nn.Module):
    """Cells, layer norm, dropout, and the input added where its shape agrees. (B, T, I) -> (B, T, H or 2 H)."""

    def __init__(self, *, cell: Cell, inputs: int, hidden: int, bidirectional: bool, dropout: float) -> None:
        super().__init__()
        self.forward_cell = _CELLS[cell](inputs, hidden, batch_first=True)
        self.backward_cell = _CELLS[cell](inputs, hidden, batch_first=True) if bidirectional else None
        self.size = hidden * (2 if bidirectional else 1)
        self.norm = nn.LayerNorm(self.size)
        self.dropout = nn.Dropout(dropout)
        self.residual = inputs == self.size

    def forward(self, x: Tensor, lengths: Tensor, beside: Executor | None = None) -> Tensor:
        """The whole pass: every position sees all of its stream, and nothing of the padding. lengths: (B,).

        `beside`: runs the forward cell in another thread while this one runs the backward cell, without gradients.
        """
        if beside is None:
            forward, _ = run(self.forward_cell, x, None)
            return self.combine(x, forward, self.backward_pass(x, lengths), lengths)
        running = beside.submit(torch.inference_mode()(run), self.forward_cell, x, None)
        backward = self.backward_pass(x, lengths)
        return self.combine(x, running.result()[0], backward, lengths)

    def backward_pass(self, x: Tensor, lengths: Tensor) -> Tensor | None:
        """The backward cell, from zero at each stream's own end. (B, T, I) -> (B, T, H), or None without one."""
        if self.backward_cell is None:
            return None
        outputs, _ = run(self.backward_cell, reverse(x, lengths), None)
        return reverse(outputs, lengths)

    def combine(self, x: Tensor, forward: Tensor, backward: Tensor | None, lengths: Tensor | None) -> Tensor:
        """What follows the cells: join, norm, dropout, residual, padding (None: there is none) set to zero."""
        joined = forward if backward is None else torch.cat([forward, backward], dim=-1)
        y = self.dropout(self.norm(joined))
        y = x + y if self.residual else y
        return y if lengths is None else mask(y, lengths)


def run(cell: nn.Module, x: Tensor, state: CellState | None) -> tuple[Tensor, CellState]:
    """One direction over (B, T, I) from `state` (zero where None) -> (B, T, H) and the state after the last frame."""
    given = None if state is None else tuple(part[None] for part in state)
    given = given if given is None or len(given) > 1 else given[0]  # type: ignore[assignment]
    if x.is_cuda and torch.is_grad_enabled():  # autocast would run cuDNN's cells in fp16, where gradients underflow
        with torch.autocast("cuda", enabled=False):
            outputs, last = cell(x.float(), given)
    else:
        outputs, last = cell(x, given)
    parts = last if isinstance(last, tuple) else (last,)
    return cast(Tensor, outputs), tuple(part[0] for part in parts)


def reverse(x: Tensor, lengths: Tensor) -> Tensor:
    """Turn each stream round within its own length; padding stays where it is. x: (B, T, …)."""
    t = torch.arange(x.shape[1], device=x.device)
    index = torch.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return x.gather(1, index[..., None].expand_as(x))
