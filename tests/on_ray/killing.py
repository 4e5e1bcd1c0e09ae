"""Kills workers of the Ray that this process started, as the system does when memory runs out."""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path


def workers(kinds: Sequence[str]) -> list[tuple[int, str]]:
    """Process numbers and kinds of the actors of these classes that live now: Ray names a process for its actor."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
            if title.startswith("ray::") and _parent(_parent(int(folder.name))) == os.getpid():
                found += [(int(folder.name), kind) for kind in kinds if title.split("::")[1].split(".")[0] == kind]
        except OSError:
            continue  # it has just ended
    return found


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


class Killer(threading.Thread):
    """Kills a random worker at random moments until so many are dead or `over` is set. `dead`: kind -> kills."""

    def __init__(self, kills: int, kinds: Sequence[str], *, seed: int, pause_s: float = 0.5) -> None:
        super().__init__(daemon=True)
        self._kills, self._kinds, self._pause_s = kills, kinds, pause_s
        self._chance, self.dead = random.Random(seed), Counter[str]()
        self.over = threading.Event()

    def run(self) -> None:
        """The thread's work."""
        while self.dead.total() < self._kills and not self.over.wait(self._chance.uniform(0.0, 2 * self._pause_s)):
            living = workers(self._kinds)
            if living:
                process, kind = self._chance.choice(living)
                os.kill(process, signal.SIGKILL)
                self.dead[kind] += 1
