"""`asr doctor`: what this machine has, what is missing, and what to do about it."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.diagnosis import Finding


def doctor(
    model: Annotated[str, typer.Option(help="a model's name in the package or its folder")] = "small",
    as_json: Annotated[bool, typer.Option("--json", help="a JSON line for each finding")] = False,
    listen: Annotated[bool, typer.Option(help="open the default microphone for a second")] = True,
) -> None:
    """Check Python, packages, device, microphones, model and disk. Exit status 1 where something is broken."""
    broken = False
    for finding in _findings(model, listen):
        _show(finding, as_json=as_json)
        broken = broken or finding.level == "problem"
    if broken:
        raise typer.Exit(1)


def _findings(model: str, listen: bool) -> "Iterator[Finding]":
    from pipelines import diagnosis

    yield from diagnosis.check_python()
    yield from diagnosis.check_packages()
    yield from diagnosis.check_compute()
    yield from diagnosis.check_microphones(listen=listen)
    yield from diagnosis.check_model(model)
    yield from diagnosis.check_disk()


_COLOURS = {"ok": "32", "warning": "33", "problem": "31"}


def _show(finding: "Finding", *, as_json: bool) -> None:
    if as_json:
        import json
        from dataclasses import asdict

        print(json.dumps(asdict(finding), ensure_ascii=False), flush=True)
        return
    level = f"{finding.level:8s}"
    if sys.stdout.isatty():
        level = f"\x1b[{_COLOURS[finding.level]}m{level}\x1b[0m"
    print(f"{level} {finding.what}: {finding.found}", flush=True)
    if finding.advice:
        print(f"{'':8s} → {finding.advice}", flush=True)
