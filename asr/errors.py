"""Every error that this project raises on purpose, in one tree.

    AsrError
    ├── ConfigError        a setting is unknown, out of range or contradicts another
    ├── AudioError         a recording or a device gives no usable samples
    ├── ManifestError      a list of recordings, or one of its lines, cannot be used
    ├── AlignmentError     a text cannot lie in its recording
    ├── CheckpointError    a model bundle is missing, damaged or foreign
    ├── ProtocolError      a client broke the protocol: the client's fault
    └── OverloadedError    no capacity now: ours; try later

A message says where, what was expected, what came, and what to do. Each error is built from `where` and `problem`
alone, so that it pickles (an exception whose `__init__` takes other arguments than its `args` does not cross Ray).
"""

from typing import Any


class AsrError(Exception):
    """Something that a user can understand and act on. `where` names the file, line, device or setting."""

    code = "error"
    heard: Any = None  # the Transcript of what could be read of a damaged recording, where anything could

    def __init__(self, where: object, problem: str) -> None:
        super().__init__(str(where), problem)

    @property
    def where(self) -> str:
        """The file, line, device or setting at fault."""
        return str(self.args[0])

    @property
    def problem(self) -> str:
        """What was expected, what came, and what to do."""
        return str(self.args[1])

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class ConfigError(AsrError):
    """A setting is unknown, out of range or contradicts another."""

    code = "config"


class AudioError(AsrError):
    """A recording or a device gives no usable samples, or no more of them."""

    code = "audio"


class ManifestError(AsrError):
    """A list of recordings, or one of its lines, cannot be used."""

    code = "manifest"


class AlignmentError(AsrError):
    """A text cannot lie in its recording."""

    code = "alignment"


class CheckpointError(AsrError):
    """A model bundle is missing, damaged or foreign."""

    code = "checkpoint"


class ProtocolError(AsrError):
    """A client broke the protocol."""

    code = "protocol"


class OverloadedError(AsrError):
    """There is no capacity now; the same request may succeed later."""

    code = "overloaded"
