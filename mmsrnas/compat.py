"""Makes mmagic 1.2 and mmengine 0.10 run on today's torch, torchvision and numpy.

The only module that knows about broken dependencies.  Importing :mod:`mmsrnas` applies it once.
Every repair waits until the module that needs it is imported, and does nothing where that module
imports cleanly: :func:`skipped_modules` is empty then, and modules and loaders are the ordinary
ones.

Six repairs:

* numpy >= 2 has no ``bool8``, which mmagic uses: an alias.
* torchvision from PyPI beside a CPU build of torch lacks the declaration of two operators.
* mmagic imports all of its sixty editors at once, among them those that need diffusers,
  transformers, lpips or mmcv's compiled operators.  A module whose import fails because such a
  package is missing or broken is skipped; its classes say what to install when they are built.
* torch >= 2.6 loads only what is known to be harmless: the log history in mmengine's checkpoints
  is added to that list, so that a run resumes.  The protection stays on.
* torch < 2.6, and the download of a checkpoint with every torch, load anything by default: mmengine
  gets loaders that load safely and say what they refuse.
* mmengine reads YAML with tags that make objects and call functions: it gets a plain reader.
"""

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import pickle
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

import numpy as np

__all__ = ["CheckpointError", "apply", "load_tensors", "skipped_modules"]

_skipped: dict[str, Exception] = {}

_OWN = frozenset({"mmagic", "mmsrnas"})
# What mmagic cannot do without; an error inside one of these is nobody's missing option.
_REQUIRED = frozenset({"cv2", "mmcv", "mmengine", "numpy", "torch", "torchvision"})
_INSTALL_NAMES = {
    "clip": "openai-clip",
    "mmcv": "the full mmcv, with compiled operators, instead of mmcv-lite",
    "pkg_resources": "setuptools<81",
    "resize_right": "resize-right",
    "skimage": "scikit-image",
}
# Modules of mmagic that use a package without checking that it is there.
_UNCHECKED = {"mmagic.models.archs": "diffusers"}
# Modules of mmagic that tell of missing packages whether or not anybody wants to use them.
_NOISY = (
    "mmagic.models.archs",
    "mmagic.models.diffusion_schedulers",
    "mmagic.models.editors.mspie.",
    "mmagic.models.editors.stylegan2.",
    "mmagic.models.editors.stylegan3.",
)
_TORCHVISION_OPERATORS = ("nms", "qnms")
_STATISTICS = frozenset({"current", "max", "mean", "min"})
_torchvision_libraries: list[object] = []  # a declaration lasts as long as its library object


def skipped_modules() -> dict[str, Exception]:
    """Returns the modules of mmagic that were skipped so far, and the error that stopped each."""
    return dict(_skipped)


def apply() -> None:
    """Installs the repairs that this environment may need; calling it again changes nothing."""
    if not hasattr(np, "bool8"):
        np.__dict__["bool8"] = np.bool_
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
        for name, repair in _REPAIRS_AFTER_IMPORT.items():
            if name in sys.modules:
                repair(sys.modules[name])


class CheckpointError(ValueError):
    """A checkpoint file that cannot serve; the message names it and says why."""


def load_tensors(path: str | Path) -> object:
    """Content of a file that ``torch.save`` wrote, if it is tensors and plain values only.

    Args:
        path: The file; its tensors come to the CPU.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It holds anything else, which could run code; or it is damaged.
    """
    import torch

    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint '{path}' does not exist.")
    _refuse_compressed(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many types, depending on what is damaged
        reason = next((line for line in str(error).splitlines() if "GLOBAL" in line), "")
        if not isinstance(error, pickle.UnpicklingError) or not reason:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise CheckpointError(f"'{path}' is damaged, or no checkpoint: {first}") from None
        raise CheckpointError(
            f"'{path}' was refused: it does not consist of tensors and plain values only, and "
            f"loading anything else can run code hidden in it.\n  {reason.strip()}\n"
            "If you trust its source, save its weights alone, where it may run code:\n"
            f"  python -c \"import torch; c = torch.load('{path}', weights_only=False); "
            "torch.save({'state_dict': c['state_dict']}, 'weights.pth')\""
        ) from None


def _refuse_compressed(path: Path) -> None:
    """Tensors are stored as they are: what is compressed can be of any size in memory."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > path.stat().st_size:
        raise CheckpointError(f"'{path}' was refused: it is compressed, to {size} bytes unpacked.")


class _Loader(importlib.abc.Loader):
    """Hands the ordinary loader back to the module, then lets ``execute`` run it."""

    def __init__(
        self,
        loader: importlib.abc.Loader,
        execute: Callable[[importlib.abc.Loader, ModuleType], None],
    ) -> None:
        self.loader = loader
        self.execute = execute

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.execute(self.loader, module)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules as Python does, and attaches a repair to the few that may need one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        execute = _REPAIRS.get(fullname)
        if execute is None and fullname.startswith("mmagic."):
            execute = _execute_tolerantly
        if execute is None:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (f.find_spec(fullname, path, target) for f in others if hasattr(f, "find_spec"))
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, execute)
        return spec


# ------------------------------------------------------------------------------------------------
# mmagic


def _execute_mmagic(loader: importlib.abc.Loader, module: ModuleType) -> None:
    """Says which mmcv mmagic accepts when it refuses the installed one."""
    try:
        loader.exec_module(module)
    except AssertionError as error:
        raise RuntimeError(
            f"mmagic does not accept the installed versions ({error}). It needs mmcv or mmcv-lite "
            "from 2.0.0 to 2.1.0, e.g. `pip install mmcv-lite==2.1.0`."
        ) from error
    except ModuleNotFoundError as error:
        if error.name == "mmcv":
            error.msg += "; `pip install mmcv-lite==2.1.0`, or the full mmcv==2.1.0"
        raise


def _execute_tolerantly(loader: importlib.abc.Loader, module: ModuleType) -> None:
    """Executes a module of mmagic; keeps what it defined when an optional package stops it."""
    try:
        with _quiet() if module.__name__.startswith(_NOISY) else nullcontext():
            loader.exec_module(module)
    except Exception as error:
        cause = _optional_failure(module.__name__, error)
        if cause is None:
            raise
        _skipped[module.__name__] = cause
        _offer_placeholders(loader, module, cause)


@contextmanager
def _quiet() -> Iterator[None]:
    with redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Diffusion .* are not registered")
        yield


def _optional_failure(module: str, error: Exception) -> Exception | None:
    """Returns what an optional package did to ``module``, or None when the error is a real one."""
    if module in _UNCHECKED and isinstance(error, TypeError):
        try:
            importlib.import_module(_UNCHECKED[module])
        except Exception as cause:
            return cause
    if _culprit(error):
        return error
    cause = error.__cause__
    if cause is None and (isinstance(error, RuntimeError) or _names_nothing(error)):
        cause = error.__context__  # `except ImportError: raise RuntimeError('Please install X')`
    return _optional_failure(module, cause) if isinstance(cause, Exception) else None


def _culprit(error: BaseException) -> str | None:
    """The optional package that could not be imported, failed, or lacks an attribute."""
    if isinstance(error, ImportError) and error.name:
        package = _package(error.name)
        return None if package in _OWN else package
    lacking = error.obj if isinstance(error, AttributeError) else None
    if isinstance(lacking, ModuleType) and _is_optional(lacking.__name__):
        return _package(lacking.__name__)
    names = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    last = max((i for i, name in enumerate(names) if _package(name) in _OWN), default=-1)
    return next((_package(name) for name in names[last + 1 :] if _is_optional(name)), None)


def _names_nothing(error: BaseException) -> bool:
    return isinstance(error, ImportError) and not error.name


def _is_optional(module: str) -> bool:
    return _package(module) not in {"", "__main__"} | _OWN | _REQUIRED | sys.stdlib_module_names


def _package(module: str) -> str:
    return module.partition(".")[0]


def _advice(cause: Exception) -> str:
    """What to install, in words."""
    package = _culprit(cause)
    if isinstance(cause, ModuleNotFoundError) and (
        cause.name == package or package in _INSTALL_NAMES
    ):
        return f"Install {_INSTALL_NAMES.get(package or '', package)} to use it."
    return f"The installed {package} does not suit mmagic 1.2: install another version to use it."


def _placeholder(module: str, name: str, cause: Exception) -> type:
    """A class that says what is missing as soon as it, or a subclass, is built."""

    def __new__(cls: type, *args: object, **kwargs: object) -> None:  # noqa: N807
        raise ImportError(
            f"{name} is not available, because {module} could not be imported: "
            f"{type(cause).__name__}: {cause}. {_advice(cause)}",
            name=getattr(cause, "name", None),
        ) from cause

    return type(name, (), {"__new__": __new__, "__module__": module})


def _offer_placeholders(loader: Any, module: ModuleType, cause: Exception) -> None:
    """Gives a skipped module placeholders for what it did not come to define."""
    name = module.__name__

    def __getattr__(attribute: str) -> object:  # noqa: N807
        if attribute.startswith("__"):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        if hasattr(module, "__path__") and importlib.util.find_spec(f"{name}.{attribute}"):
            return importlib.import_module(f"{name}.{attribute}")
        placeholder = _placeholder(name, attribute, cause)
        setattr(module, attribute, placeholder)
        return placeholder

    vars(module)["__getattr__"] = __getattr__
    registries = importlib.import_module("mmagic.registry")
    for registry_name, class_name in _registered_classes(loader.get_source(name) or ""):
        registry = getattr(registries, registry_name, None)
        if registry is not None and class_name not in registry.module_dict:
            registry.register_module(name=class_name, module=getattr(module, class_name))


def _registered_classes(source: str) -> Iterator[tuple[str, str]]:
    """Yields (registry, class) for each ``@REGISTRY.register_module()`` in the source."""
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            match decorator:
                case ast.Call(ast.Attribute(ast.Name(registry), "register_module")):
                    yield registry, node.name


# ------------------------------------------------------------------------------------------------
# torchvision and torch


def _execute_torchvision(loader: importlib.abc.Loader, module: ModuleType) -> None:
    """Declares the operators that a torchvision built for another torch could not load."""
    try:
        loader.exec_module(module)
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        import torch

        # Only the schemas: the operators stay unusable, but mmagic never calls them.
        library = torch.library.Library("torchvision", "FRAGMENT")
        _torchvision_libraries.append(library)
        for operator in _TORCHVISION_OPERATORS:
            if not hasattr(torch.ops.torchvision, operator):
                library.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
        for name in [name for name in sys.modules if name.startswith("torchvision.")]:
            del sys.modules[name]
        loader.exec_module(module)


def _allow_history_buffer(module: ModuleType) -> None:
    """Lets torch's safe loading read mmengine's log history: numbers in numpy arrays."""
    import torch

    allow = getattr(torch.serialization, "add_safe_globals", None)
    if allow is None:  # torch < 2.4 does not load safely by default
        return
    history_buffer = module.HistoryBuffer

    def statistic(owner: object, name: str) -> Callable:
        if owner is not history_buffer or name not in _STATISTICS:
            raise pickle.UnpicklingError(f"Unsupported global: GLOBAL getattr({owner}, {name!r})")
        return getattr(owner, name)

    # Asked of the values, since numpy moved these functions from one private module to another.
    makers: list[Any] = [np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0]]
    allow(
        [history_buffer, np.ndarray, np.dtype, *{type(np.dtype(kind)) for kind in "?bhilqBHILQefd"}]
    )
    # HistoryBuffer pickles its methods by getattr: allowed for these only.
    allow([_under_name("builtins.getattr", statistic)])
    for package in ("numpy._core", "numpy.core"):  # as numpy 2 and numpy 1 wrote it
        for function in makers:
            allow([_under_name(f"{package}.multiarray.{function.__name__}", function)])


def _load_safely(module: ModuleType) -> None:
    """Makes mmengine's loaders of files and addresses safe with every torch."""

    # Always to the CPU. mmengine asks for the device of the model, where a resume would then hold
    # weights and optimizer twice, and Adam its step, for which it waits in every iteration.
    def load_from_local(filename: str, map_location: object = None) -> object:
        return load_tensors(filename)

    def load_from_http(filename: str, map_location: object = None) -> object:
        import torch

        folder = Path(torch.hub.get_dir()) / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / Path(urlparse(filename).path).name
        if not path.is_file():
            torch.hub.download_url_to_file(filename, str(path))  # by a temporary file
        return load_tensors(path)

    register = module.CheckpointLoader.register_scheme
    register("", loader=load_from_local, force=True)
    register(("http://", "https://"), loader=load_from_http, force=True)


def _read_plain_yaml(module: ModuleType) -> None:
    """Refuses YAML tags that make objects: a config in YAML is data."""
    vars(module)["Loader"] = getattr(module.yaml, "CSafeLoader", module.yaml.SafeLoader)


def _under_name(path: str, function: Callable) -> Callable:
    """The function under the name that a checkpoint calls it by."""

    def renamed(*args: object) -> object:
        return function(*args)

    renamed.__module__, _, renamed.__qualname__ = path.rpartition(".")
    renamed.__name__ = renamed.__qualname__  # which torch 2.6 and older read
    return renamed


def _then(repair: Callable[[ModuleType], None]) -> Callable:
    """Executes a module, and repairs it afterwards."""

    def execute(loader: importlib.abc.Loader, module: ModuleType) -> None:
        loader.exec_module(module)
        repair(module)

    return execute


_REPAIRS_AFTER_IMPORT: dict[str, Callable[[ModuleType], None]] = {
    "mmengine.fileio.handlers.yaml_handler": _read_plain_yaml,
    "mmengine.logging.history_buffer": _allow_history_buffer,
    "mmengine.runner.checkpoint": _load_safely,
}
_REPAIRS: dict[str, Callable[[importlib.abc.Loader, ModuleType], None]] = {
    "mmagic": _execute_mmagic,
    "torchvision": _execute_torchvision,
    **{name: _then(repair) for name, repair in _REPAIRS_AFTER_IMPORT.items()},
}
