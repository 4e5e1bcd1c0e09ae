"""Numbers that are none: steps with such gradients are skipped, and the run ends where nothing else comes any more."""

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

from asr.errors import ConfigError

MOST_IN_A_ROW = 20


class Failures:
    """How many updates in a row were skipped because a gradient was no number."""

    def __init__(self, where: Path) -> None:
        self._where, self._in_a_row = where, 0

    def counted(self, finite: object) -> bool:
        """Whether a step's gradient may be used. Raises ConfigError after too many in a row that may not."""
        self._in_a_row = 0 if finite else self._in_a_row + 1
        if self._in_a_row > MOST_IN_A_ROW:
            raise ConfigError(
                self._where,
                f"the gradients of the last {self._in_a_row} steps are not finite: the run has diverged. "
                "Begin again with a lower optimiser.rate, or look for damaged recordings",
            )
        return self._in_a_row == 0


def log_line(progress: "DataclassInstance") -> str:
    """A dataclass of numbers and dicts of numbers as a line of JSON; null for those that are not finite."""
    return json.dumps(_finite(dataclasses.asdict(progress))) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(x) for key, x in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
