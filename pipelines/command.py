"""The command `asr`: which commands there are, and how each ends.

Heavy imports happen inside the commands, so that --help is quick.
"""

import os
import sys

os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # before torch: spinning threads of two processes on two cores starve each other

import typer

from asr.errors import AsrError
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
    """Run a command. Exit status: 0 all well, 1 something failed and the rest was done, 2 misuse."""
    try:
        app()
    except AsrError as error:
        print(f"asr: {error}", file=sys.stderr)
        sys.exit(2 if error.code == "config" else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        print(f"asr: {error.filename}: {error.strerror}; choose another place", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # the reader of our output has gone, as in `asr … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
