"""The command `asr`: which commands there are, and how each ends.

Heavy imports happen inside the commands, so that --help is quick.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # before torch: spinning threads of two processes on two cores starve each other

import typer

from asr.errors import AsrError, CheckpointError, ConfigError
from pipelines.adapt_command import adapt
from pipelines.align_command import align
from pipelines.compare_command import compare
from pipelines.doctor_command import doctor
from pipelines.evaluate_command import evaluate
from pipelines.inspect_command import inspect
from pipelines.live_command import live
from pipelines.lm_command import app as lm
from pipelines.train_command import train
from pipelines.transcribe_command import transcribe

app = typer.Typer(
    help="Words from sound, live and in bulk, with one recurrent model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("transcribe")(transcribe)
app.command("live")(live)
app.command("evaluate")(evaluate)
app.command("compare")(compare)
app.command("align")(align)
app.command("inspect")(inspect)
app.command("train")(train)
app.command("adapt")(adapt)
app.add_typer(lm, name="lm")
app.command("doctor")(doctor)


@app.callback()
def asr() -> None:
    """Words from sound, live and in bulk, with one recurrent model."""


def main() -> None:
    """Run a command. Exit status: 0 all well, 1 something failed and the rest was done, 2 misuse.

    Bytes in the names of files that are no text stand as \\udcXX on standard output.
    """
    _fill_closed_streams()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        _run()
    except AsrError as error:
        print(f"asr: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ConfigError | CheckpointError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # that: the reader of our output has gone, as in `asr … | head`
            where = f"{error.filename}: " if error.filename else ""
            print(f"asr: {where}{error.strerror or error}; choose another place", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left in the buffer would fail once more
        sys.exit(1)


def _fill_closed_streams() -> None:
    """Who closed one, as `2>&-` does, wants nothing from it; and the next file must not take its number and place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115


def _run() -> None:
    try:
        app()
    finally:
        sys.stdout.flush()  # now, where an error still counts
