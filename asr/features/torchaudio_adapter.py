"""`torchaudio` that imports beside a torch without CUDA.

The wheel's compiled half links CUDA libraries, so with a CPU-only torch `import torchaudio` raises OSError. Its pure-
Python half is all
that we use. Where torch has no CUDA, a stand-in for `torchaudio._extension` says that the compiled half is absent.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

import torch


def _absent(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError("this function of torchaudio needs its compiled half, which needs CUDA libraries")


def _refuse(_: Callable[..., Any]) -> Callable[..., NoReturn]:
    return _absent


def _stand_in() -> ModuleType:
    module = ModuleType("torchaudio._extension")
    module.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _IS_RIR_AVAILABLE=False,
        _check_cuda_version=lambda: None,
        lazy_import_sox_ext=lambda: None,
        fail_if_no_align=_refuse,
        fail_if_no_rir=_refuse,
    )
    return module


if torch.version.cuda is None and "torchaudio" not in sys.modules:
    sys.modules["torchaudio._extension"] = _stand_in()

import torchaudio  # noqa: E402  (after the stand-in)

__all__ = ["torchaudio"]
