"""A sound system of the test's own: PulseAudio with a private socket and a null sink whose monitor is the microphone.

Two silent clients of low latency stay open, one into the sink and one from its monitor: without them the first callback
comes up to two seconds late and sound is lost.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("pulseaudio", "pactl", "pacat", "parec", "paplay")
SINK = "asr_test"


def missing() -> str:
    """What is not installed, "" where all is."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed (apt-get install pulseaudio pulseaudio-utils)"
    try:
        import sounddevice  # noqa: F401
    except OSError:
        return "PortAudio is not installed (apt-get install libportaudio2)"
    plugin = any(Path("/usr").glob("lib*/**/alsa-lib/libasound_module_pcm_pulse.so"))
    return "" if plugin else "ALSA does not know PulseAudio (apt-get install libasound2-plugins)"


@contextmanager
def sound_system(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which programs play into the null sink and record from its monitor, as device "pulse"."""
    (folder / "runtime").mkdir(mode=0o700)
    socket = folder / "native"
    environment = os.environ | {
        "PULSE_SERVER": f"unix:{socket}",
        "PULSE_RUNTIME_PATH": str(folder / "runtime"),
        "PULSE_STATE_PATH": str(folder / "runtime"),
        "XDG_CONFIG_HOME": str(folder),
        "HOME": str(folder),
    }
    modules = [
        f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
        f"module-null-sink sink_name={SINK} rate=48000",
    ]
    options = [
        "--daemonize=no",
        "--high-priority=yes",
        "--exit-idle-time=-1",
        "--disable-shm=yes",
        "-n",
        "--log-target=stderr",
    ]
    command = ["pulseaudio", *options, *(x for module in modules for x in ("-L", module))]
    with ExitStack() as stack:
        stack.enter_context(_running(command, environment))
        _wait_for(["pactl", "list", "short", "sinks"], environment, SINK)
        subprocess.run(["pactl", "set-default-source", f"{SINK}.monitor"], env=environment, check=True)
        raw = ["--raw", "--rate=48000", "--channels=1", "--format=s16le", "--latency-msec=60"]
        silence = stack.enter_context(Path("/dev/zero").open("rb"))
        stack.enter_context(_running(["pacat", *raw, f"--device={SINK}"], environment, stdin=silence.fileno()))
        stack.enter_context(_running(["parec", *raw, f"--device={SINK}.monitor"], environment))
        _wait_for(["pactl", "list", "short", "source-outputs"], environment, "s16le")
        _hear_a_second(["parec", *raw, f"--device={SINK}.monitor"], environment)
        yield environment


def play(path: Path, environment: dict[str, str]) -> None:
    """Into the sink, as long as it lasts."""
    subprocess.run(["paplay", f"--device={SINK}", str(path)], env=environment, check=True, timeout=120)


def _hear_a_second(command: list[str], environment: dict[str, str]) -> None:
    """Sound flows: the first second after a start comes late."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.read(2 * 48_000)
        process.terminate()


@contextmanager
def _running(command: list[str], environment: dict[str, str], stdin: int = subprocess.DEVNULL) -> Iterator[None]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, stdin=stdin, stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(command: list[str], environment: dict[str, str], text: str, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if text in done.stdout:
            return
        time.sleep(0.1)
    raise TimeoutError(f"{' '.join(command)}: expected {text!r} within {timeout_s:.0f} s, got {done.stdout!r}")
