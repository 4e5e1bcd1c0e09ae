"""Settings from YAML into the frozen dataclasses that own them.

A file gives differences from the defaults; an unknown key is an error.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from asr.errors import ConfigError

S = TypeVar("S")


def read_settings(kind: type[S], path: Path, changes: Sequence[str] = ()) -> S:
    """The settings in a YAML file, with `changes` such as "optimiser.rate=0.001" on top. Raises ConfigError."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(path, f"expected a YAML file that can be read: {error}") from error
    for change in changes:
        _apply(values, change)
    return make_settings(kind, values, where=str(path))


def make_settings(kind: type[S], values: Any, *, where: str) -> S:
    """Check plain values against a dataclass and build it. Raises ConfigError naming the key."""
    _refuse_unknown(kind, values, where)
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where}: {key}", f"{first['msg']}, got {first['input']!r}") from None


def _apply(values: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals:
        raise ConfigError(change, "expected a change such as optimiser.rate=0.001")
    *parents, last = key.split(".")
    try:
        for parent in parents:
            values[parent] = values.get(parent) or {}
            values = values[parent]
        values[last] = yaml.safe_load(value)
    except (TypeError, AttributeError):
        raise ConfigError(change, f"expected settings under {'.'.join(parents)}, found a value") from None
    except yaml.YAMLError as error:
        raise ConfigError(change, f"expected a value as in YAML: {error}") from None


def _refuse_unknown(kind: Any, values: Any, where: str) -> None:
    if not dataclasses.is_dataclass(kind) or not isinstance(values, Mapping):
        return
    hints = get_type_hints(kind)
    for key, value in values.items():
        if key not in hints:
            raise ConfigError(f"{where}: {key}", f"unknown; expected one of {', '.join(hints)}")
        _refuse_unknown_inside(hints[key], value, f"{where}: {key}")


def _refuse_unknown_inside(hint: Any, value: Any, where: str) -> None:
    """Go into dataclasses and into the values of dicts and lists of dataclasses."""
    inner = [part for part in get_args(hint) if dataclasses.is_dataclass(part)]
    _refuse_unknown(hint, value, where)
    if inner and isinstance(value, Mapping) and getattr(hint, "__origin__", None) is dict:
        for name, item in value.items():
            _refuse_unknown(inner[0], item, f"{where}.{name}")
    elif inner and isinstance(value, list):
        for item in value:
            _refuse_unknown(inner[0], item, where)
    elif inner:
        _refuse_unknown(inner[0], value, where)


def add_to_yaml(path: Path, part: dict[str, Any]) -> None:
    """Put keys into a YAML file, over those of the same name."""
    settings = yaml.safe_load(path.read_text(encoding="utf-8")) | part
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
