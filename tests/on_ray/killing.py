"""Kills workers of the Ray that this process started, as the system does when memory runs out."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipelines.ray_connection import SURROUNDINGS


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
    """Kills a random worker at random moments from when `begin` is set until so many are dead or `over` is set.

    `dead`: kind -> kills; `at`: when, in seconds since the epoch.
    """

    def __init__(self, kills: int, kinds: Sequence[str], *, seed: int, pause_s: float = 0.5) -> None:
        super().__init__(daemon=True)
        self._kills, self._kinds, self._pause_s = kills, kinds, pause_s
        self._chance, self.dead, self.at = random.Random(seed), Counter[str](), list[float]()
        self.begin, self.over = threading.Event(), threading.Event()

    def start(self, *, later: bool = False) -> None:
        """At once, or when somebody sets `begin`."""
        if not later:
            self.begin.set()
        super().start()

    def run(self) -> None:
        """The thread's work."""
        self.begin.wait()
        while self.dead.total() < self._kills and not self.over.wait(self._chance.uniform(0.0, 2 * self._pause_s)):
            living = workers(self._kinds)
            if living:
                process, kind = self._chance.choice(living)
                os.kill(process, signal.SIGKILL)
                self.dead[kind] += 1
                self.at.append(time.time())


class SecondNode:
    """Another Ray node on this machine, as `ray start --address` makes one."""

    def __init__(self, address: str, cpus: int = 4) -> None:
        command = [str(Path(sys.executable).with_name("ray")), "start", "--address", address, "--block"]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the node)
        self._process = subprocess.Popen(
            [*command, "--num-cpus", str(cpus)], stdout=self._log, stderr=self._log, env=os.environ | SURROUNDINGS
        )

    def wait(self, seconds: float = 90.0) -> str:
        """Its id, once it has joined the cluster that this process is connected to."""
        import ray

        here, ends = ray.get_runtime_context().get_node_id(), time.monotonic() + seconds
        while time.monotonic() < ends and self._process.poll() is None:
            found = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["NodeID"] != here]
            if found:
                return str(found[0])
            time.sleep(0.1)
        self._log.seek(0)
        raise TimeoutError(self._log.read().decode())

    def kill(self) -> None:
        """All of its processes at once, as a machine that loses its power. Once is enough."""
        if self._process.returncode is not None:
            return
        processes = [self._process.pid]
        for parent in processes:  # grows as it goes
            processes += [int(x.name) for x in Path("/proc").glob("[0-9]*") if _is_child(int(x.name), parent)]
        for process in reversed(processes):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait()


def _is_child(process: int, parent: int) -> bool:
    try:
        return _parent(process) == parent
    except OSError:
        return False
