"""The one home of checkpoints: found, loaded safely, read as data, checked against a network."""

import ast
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import FUNCTIONS, Registry
from torch import Tensor, nn

from mmsrnas.compat import CheckpointError
from mmsrnas.costs import COSTS
from mmsrnas.genotypes import Genotype, GenotypeError, load_genotype

__all__ = [
    "CARD_KEY",
    "Checkpoint",
    "CheckpointError",
    "differences",
    "find_checkpoint",
    "read_card",
    "read_checkpoint",
    "require_registered",
]

CARD_KEY = "mmsrnas_card"
"""Name of the tensor that holds the model card, as JSON, among the weights of an export."""

EMA = "generator_ema"
# What a config that travels in a checkpoint may be used for; everything else is left out.
CONFIG_KEYS = ("default_scope", "model", "train_cfg", "train_dataloader", "val_dataloader")
SCOPES = ("mmsrnas", "mmagic", "mmengine")
# BasicSR's names of the weights, and those of an editor.
BASICSR = {"params": "generator", "params_ema": EMA}
MAX_CONFIG_CHARS = 1_000_000


@dataclass(frozen=True)
class Checkpoint:
    """Content of a checkpoint file, none of which is ever executed.

    Weights have the names of an editor whoever wrote the file: ``module.`` of a parallel wrapper is
    taken off, BasicSR's ``params`` and ``params_ema`` become ``generator`` and ``generator_ema``,
    and a file of one bare network counts as its ``generator``.

    Attributes:
        source: File or address, for messages.
        content: What ``torch.load`` returned.
        key: Config key or argument that names the file, for messages.
    """

    source: str
    content: Mapping[str, Any]
    key: str = "checkpoint"

    @cached_property
    def meta(self) -> Mapping[str, Any]:
        """Entry ``meta``: ``iter``, ``seed``, ``cfg``, ``genotype``... as far as they are there."""
        meta = self.content.get("meta")
        return meta if isinstance(meta, Mapping) else {}

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """All weights, without the ``module.`` of a parallel wrapper.

        Raises:
            CheckpointError: The file holds none.
        """
        state = self.content.get("state_dict")
        if state is None:
            named = {part: self.content.get(name) for name, part in BASICSR.items()}
            parts = {part: w for part, w in named.items() if isinstance(w, Mapping)}
            state = {f"{part}.{_bare(n)}": w for part, ws in parts.items() for n, w in ws.items()}
            state = state or self.content
        if not isinstance(state, Mapping) or not state or not _are_tensors(state):
            entries = ", ".join(map(repr, list(self.content)[:5]))
            raise CheckpointError(f"{self}: holds no weights, its entries are {entries}.")
        return {_bare(name): tensor for name, tensor in state.items() if name != CARD_KEY}

    def part(self, name: str) -> dict[str, Tensor]:
        """Weights of one part of an editor.

        Args:
            name: Name of the part, e.g. ``'generator'`` or ``'dual_networks'``. A file that holds
                averaged weights only, or one bare network, has a ``generator`` too.

        Returns:
            The weights by their names inside the part; empty where the file does not have it.
        """
        found = _below(self.weights, name)
        if not found and name.partition(".")[0] == "generator":
            inner = name.partition(".")[2]
            if averaged := _below(self.weights, EMA):
                return _below(averaged, inner) if inner else averaged
            if not any(key.startswith("generator") for key in self.weights):
                return _below(self.weights, inner) if inner else dict(self.weights)
        return found

    def require_part(self, name: str) -> dict[str, Tensor]:
        """Weights of one part of an editor, which must be there.

        Args:
            name: Name of the part.

        Raises:
            CheckpointError: The file does not have it.
        """
        if found := self.part(name):
            return found
        names = ", ".join(sorted({key.partition(".")[0] for key in self.weights})[:5])
        advice = ""
        if name == EMA:
            advice = (
                " This editor infers with the averaged weights; model.is_use_ema=False uses "
                "those of the generator."
            )
        raise CheckpointError(f"{self}: has no '{name}.' weights, its parts are {names}.{advice}")

    def load_into(self, module: nn.Module, part: str = "generator") -> None:
        """Loads a part of the file into a module, all of it or nothing.

        Args:
            module: Module that the weights are of.
            part: Name of the part; all of the file where it is empty.

        Raises:
            CheckpointError: The part is missing, or of another network.
        """
        weights = self.require_part(part) if part else self.weights
        self.require_fit(module.state_dict(), weights, part)
        module.load_state_dict(weights, strict=False)  # checked above

    def require_fit(
        self, expected: Mapping[str, Tensor], given: Mapping[str, Tensor], part: str
    ) -> None:
        """Refuses weights that are not those of a network, or are no numbers.

        Args:
            expected: State of the network, as it is initialised.
            given: Weights of the file.
            part: Name of the part, for the message.

        Raises:
            CheckpointError: With the first differences, or the first values that are not finite.
        """
        if lines := differences(expected, given):
            more = f"\n  ... and {len(lines) - 6} more" if len(lines) > 6 else ""
            what = f"'{part}' of the config" if part else "the model of the config"
            raise CheckpointError(
                f"{self}: does not fit {what}{self._origin()}:\n  "
                + "\n  ".join(lines[:6])
                + more
                + "\nIs it of another scale, size or genotype?"
            )
        # Some buffers are NaN until they are first used.
        used = ((name, weight) for name, weight in given.items() if _is_finite(expected[name]))
        if names := [name for name, weight in used if not _is_finite(weight)]:
            raise CheckpointError(
                f"{self}: {len(names)} of its tensors, first '{names[0]}', have values that are "
                "NaN or infinite. The training that made them has diverged: take an earlier one."
            )

    @cached_property
    def genotype(self) -> Genotype | None:
        """The genotype of the network, where the file names it.

        Raises:
            CheckpointError: It cannot be read.
        """
        stored = self.meta.get("genotype")
        if stored is None:
            return None
        try:
            return load_genotype(stored if isinstance(stored, Mapping) else {})
        except GenotypeError as error:
            raise CheckpointError(f"{self}: its genotype cannot be read. {error}") from None

    def _origin(self) -> str:
        stored = self.meta.get("genotype")
        method = stored.get("method") if isinstance(stored, Mapping) else None
        return f"; it is of the method '{method}'" if isinstance(method, str) else ""

    def config(self) -> Config:
        """The config that the run saved, as data: model, dataloaders and ``train_cfg``.

        Its text is parsed, never executed, and every ``type`` in it must be a registered one. The
        genotype of the network, which may have been a file, stands in it by its content.

        Raises:
            CheckpointError: There is none, or it is more than plain data.
        """
        text = self.meta.get("cfg")
        if not isinstance(text, str):
            raise CheckpointError(f"{self}: holds no config: name it by --config.")
        try:
            values = _parse(text)
            cfg = {key: values[key] for key in CONFIG_KEYS if key in values}
            require_registered(cfg)
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise CheckpointError(
                f"{self}: its config is more than plain data ({error}), and is not executed: "
                "name the config by --config."
            ) from None
        generator = cfg.get("model", {}).get("generator", {})
        if self.genotype is not None and "genotype" in generator:
            generator["genotype"] = self.genotype.to_dict()
        return Config(cfg)

    def __str__(self) -> str:
        return f"{self.key} '{self.source}'"


def read_checkpoint(source: str | Path, key: str = "checkpoint") -> Checkpoint:
    """Loads a checkpoint safely, on the CPU.

    Args:
        source: File, address, or work dir of a run: its latest checkpoint.
        key: Config key or argument that names it, for messages.

    Returns:
        The checkpoint.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is damaged, no checkpoint, or holds more than tensors and plain values.
    """
    from mmengine.runner import CheckpointLoader  # takes seconds: only where a file is loaded

    if "://" not in str(source):
        try:
            source = find_checkpoint(source)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{key}: {error}") from None
    if str(source).endswith(".safetensors"):
        return Checkpoint(str(source), _read_safetensors(Path(source), key), key)
    try:
        content = CheckpointLoader.load_checkpoint(str(source), "cpu", logger="silent")
    except CheckpointError as error:
        raise CheckpointError(f"{key}: {error}") from None
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{key} '{source}': holds a {type(content).__name__}, no checkpoint.")
    return Checkpoint(str(source), content, key)


def _read_safetensors(path: Path, key: str) -> dict[str, Any]:
    """Weights of a safetensors file, and as ``meta`` the card that stands among them."""
    from safetensors import SafetensorError  # comes with the packages that write such files
    from safetensors.torch import load_file

    try:
        state = load_file(path)
        return {"state_dict": state, "meta": read_card(state)}
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{key} '{path}' is no safetensors file: {error}") from None


def read_card(state: Mapping[str, Any]) -> dict[str, Any]:
    """The model card among the weights of an export; empty where there is none.

    Args:
        state: Weights by name.

    Raises:
        ValueError: It is no JSON object.
    """
    if CARD_KEY not in state:
        return {}
    card = json.loads(bytes(state[CARD_KEY].to(torch.uint8).tolist()))
    if not isinstance(card, dict):
        raise ValueError(f"'{CARD_KEY}' holds a {type(card).__name__}, no model card.")
    return card


def find_checkpoint(path: str | Path) -> Path:
    """A checkpoint, or the latest sound one of a work dir.

    The file ``last_checkpoint`` of a work dir names it, by its name alone: a work dir may have been
    moved or copied. Where that file is missing or wrong, or what it names is damaged, the sound
    checkpoint of the highest iteration is taken, with a warning.

    Args:
        path: File or folder.

    Raises:
        FileNotFoundError: There is none.
    """
    path = Path(path)
    if not path.is_dir():
        if not path.is_file():
            raise FileNotFoundError(f"checkpoint '{path}' does not exist.")
        return path
    named = _read_pointer(path / "last_checkpoint")
    local = path / named.name if named else None
    if local and is_sound(local):
        return local
    newest = next(filter(is_sound, _by_step(path)), None)
    if newest is None and named and is_sound(named):  # CheckpointHook.out_dir is elsewhere
        return named
    what = f"names '{named}', which is no whole checkpoint" if named else "names no checkpoint"
    if newest is None:
        raise FileNotFoundError(f"no whole checkpoint in '{path}'; 'last_checkpoint' {what}.")
    print_log(f"'{path / 'last_checkpoint'}' {what}: taking '{newest}'.", "current", 30)
    return newest


def _read_pointer(pointer: Path) -> Path | None:
    """What ``last_checkpoint`` names, if it is text that can be a file name."""
    try:
        name = pointer.read_bytes().decode().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return Path(name) if name and "\0" not in name and "\n" not in name else None


def _by_step(folder: Path) -> list[Path]:
    """``iter_N.pth`` and ``epoch_N.pth`` of a folder, the last one first."""
    steps = {}
    for path in folder.glob("*.pth"):
        if match := re.fullmatch(r"(?:iter|epoch)_(\d+)", path.stem):
            steps[path] = int(match[1])
    return sorted(steps, key=lambda path: -steps[path])


def is_sound(path: Path) -> bool:
    """Tells whether a file is a whole checkpoint of a run: checksums and content.

    Args:
        path: File of any kind.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return False
        checkpoint = read_checkpoint(path)
        return bool(checkpoint.weights) and isinstance(checkpoint.meta.get("iter"), int)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False


def differences(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """What weights lack, have too much, or have in another shape or type.

    Args:
        expected: State of a network.
        given: Weights that are to be loaded into it.

    Returns:
        One line per difference.
    """
    lines = [f"missing: {n}" for n in expected if n not in given and not n.endswith("_tracked")]
    lines += [f"not in the network: {name}" for name in given if name not in expected]
    for name in expected.keys() & given.keys():
        wanted, found = expected[name], given[name]
        if wanted.shape != found.shape:
            shapes = f"{tuple(found.shape)}, the network has {tuple(wanted.shape)}"
            lines.append(f"shape of {name}: {shapes}")
        elif wanted.is_floating_point() != found.is_floating_point():
            lines.append(f"type of {name}: {found.dtype}, the network has {wanted.dtype}")
    return lines


def _is_finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())


def _bare(name: str) -> str:
    """A name without the ``module.`` of parallel wrappers, of the editor or of its parts."""
    return re.sub(r"^(generator|generator_ema)\.module\.", r"\1.", name.removeprefix("module."))


def _below(weights: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    prefix = f"{part}."
    return {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}


def _are_tensors(state: Mapping) -> bool:
    return all(isinstance(n, str) and isinstance(w, Tensor) for n, w in state.items())


def _parse(text: str) -> dict[str, Any]:
    """The assignments of a config's text, as mmengine prints them; nothing is executed."""
    if len(text) > MAX_CONFIG_CHARS:
        raise ValueError(f"{len(text)} characters")
    values = {}
    for statement in ast.parse(text).body:
        match statement:
            case ast.Assign(targets=[ast.Name(name)], value=value):
                values[name] = _literal(value)
            case _:
                raise ValueError(f"line {statement.lineno}: {ast.unparse(statement)[:60]}")
    return values


def _literal(node: Any) -> Any:
    """The value of a literal, where ``dict(...)`` is one too."""
    match node:
        case ast.Call(ast.Name("dict"), args=[], keywords=keywords) if all(
            keyword.arg for keyword in keywords
        ):
            return {keyword.arg: _literal(keyword.value) for keyword in keywords}
        case ast.Call(ast.Name("dict"), args=[ast.Dict() as items], keywords=[]):
            return _literal(items)  # as mmengine prints keys that are no names
        case ast.List(items):
            return [_literal(item) for item in items]
        case ast.Tuple(items):
            return tuple(_literal(item) for item in items)
        case ast.Dict(keys, items) if all(keys):
            pairs = zip(keys, items, strict=True)
            return {_literal(key): _literal(item) for key, item in pairs}
        case _:
            return ast.literal_eval(node)


def require_registered(cfg: Mapping[str, Any]) -> None:
    """Lets nothing through that mmengine would import and call because a ``type`` names it.

    Args:
        cfg: A config, or a part of one.

    Raises:
        ValueError: A ``type`` is not registered.
    """
    scope = cfg.get("default_scope", SCOPES[0])
    if scope not in SCOPES:
        raise ValueError(f"default_scope={scope!r}")
    known = _registered_names()
    for kind in _types(cfg):
        scope, _, name = kind.rpartition(".") if isinstance(kind, str) else ("?", "", "")
        if scope not in ("", *SCOPES) or name not in known:
            raise ValueError(f"type={kind!r} is not registered")


def _types(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        if "type" in value:
            yield value["type"]
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _types(item)


def _registered_names() -> set[str]:
    """Names of everything that a model, a dataloader or a loop is made of, and of costs."""
    from mmsrnas import registry

    nodes = ("MODELS", "DATASETS", "TRANSFORMS", "DATA_SAMPLERS", "LOOPS", "WEIGHT_INITIALIZERS")
    nodes = (*nodes, "TASK_UTILS")  # search spaces
    names = {*FUNCTIONS.module_dict, *COSTS}
    for node in nodes:
        found: Registry | None = getattr(registry, node)
        while found is not None:
            found.import_from_location()
            names |= found.module_dict.keys()
            found = found.parent
    return names
