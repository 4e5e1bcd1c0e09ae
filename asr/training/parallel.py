"""Data parallelism: processes of one torch.distributed group train copies of one model, each on its own batches.

Who starts the processes (torchrun, Ray Train) makes the group; where there is none, a process is a group of one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import distributed


@dataclass(frozen=True)
class Group:
    """This process's place among those that train together."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> "Group":
        """The group that has been initialised, or a group of one."""
        if distributed.is_available() and distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return cls()

    @property
    def leads(self) -> bool:
        """Whether this process measures, saves and reports for all."""
        return self.rank == 0

    def wait(self) -> None:
        """Until every process of the group has come here."""
        if self.size > 1:
            distributed.barrier()

    def seed_step(self, seed: int, step: int) -> None:
        """Set the random numbers of a step (dropout): made again after a resumption it is the same step."""
        torch.manual_seed(int(np.random.SeedSequence([seed, step, self.rank]).generate_state(1)[0]))

    def share(self, plan: list[list[int]]) -> list[list[int]]:
        """This process's batches of an epoch: every size-th, as many as every other process has."""
        return plan[self.rank : len(plan) - len(plan) % self.size : self.size]

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter], *, stop: bool) -> bool:
        """Replace each gradient by its mean over the group; whether any of the group wishes to stop."""
        if self.size == 1:
            return stop
        given = [x for x in parameters if x.requires_grad]
        gradients = [torch.zeros_like(x) if x.grad is None else x.grad for x in given]
        wish = gradients[0].new_tensor([float(stop)])
        flat = torch.cat([wish, *(gradient.flatten() for gradient in gradients)])
        distributed.all_reduce(flat)
        sizes = [gradient.numel() for gradient in gradients]
        for parameter, mean in zip(given, torch.split(flat[1:] / self.size, sizes), strict=True):
            parameter.grad = mean.view_as(parameter)
        return bool(flat[0] > 0)
