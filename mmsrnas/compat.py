"""Makes mmagic 1.2 and mmengine 0.10 run on today's torch and numpy.

The only module that knows about broken dependencies.  Importing :mod:`mmsrnas` applies it once;
nothing is replaced where everything imports cleanly.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

import numpy as np
import torch

__all__ = ["apply", "skipped_modules"]

_skipped: dict[str, Exception] = {}


def skipped_modules() -> dict[str, Exception]:
    """Modules of mmagic that could not be imported, each with the error that stopped it."""
    return dict(_skipped)


def _placeholder(module: str, name: str, cause: Exception) -> type:
    """A class that says what is missing as soon as somebody builds it."""

    def __init__(self, *args, **kwargs) -> None:  # noqa: N807
        raise ImportError(
            f"{module}.{name} is not available because {module} failed to import: {cause}. "
            "Install the package that it names to use it."
        ) from cause

    return type(name, (), {"__init__": __init__, "__module__": module})


class _TolerantLoader(importlib.abc.Loader):
    """Executes a module of mmagic, and keeps what it defined so far when it fails."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        try:
            self.loader.exec_module(module)
        except (ImportError, AttributeError, TypeError) as error:
            _skipped[module.__name__] = error
            cause = error

            def __getattr__(name: str) -> type:  # noqa: N807
                if name.startswith("__"):
                    raise AttributeError(name)
                return _placeholder(module.__name__, name, cause)

            module.__getattr__ = __getattr__


class _MMagicFinder(importlib.abc.MetaPathFinder):
    """Hands the sub-modules of mmagic to :class:`_TolerantLoader`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith("mmagic."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _TolerantLoader(spec.loader)
        return spec


def apply() -> None:
    """Applies every repair that this environment needs; calling it again changes nothing."""
    if not hasattr(np, "bool8"):
        np.bool8 = np.bool_
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        apply.library = library
        for name in [n for n in sys.modules if n.startswith("torchvision")]:
            del sys.modules[name]
        import torchvision  # noqa: F401
    if not any(isinstance(f, _MMagicFinder) for f in sys.meta_path):
        sys.meta_path.insert(0, _MMagicFinder())
