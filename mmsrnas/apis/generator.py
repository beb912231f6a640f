"""The network of a config, with or without trained weights."""

import copy
import inspect
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from torch import nn

from mmsrnas.checkpoint import EMA, Checkpoint, CheckpointError, read_checkpoint
from mmsrnas.genotypes import published_genotypes
from mmsrnas.registry import MODELS

from .config import read_config

__all__ = ["adopt_genotype", "folded", "init_generator"]

GENOTYPE_OPTION = "model.generator.genotype"


def init_generator(
    config: str | Path | Config,
    checkpoint: str | Path | Checkpoint | None = None,
    genotype_override: bool = False,
) -> nn.Module:
    """Builds the generator of an editor's config.

    Args:
        config: Config of ours or of mmagic, with ``model.generator``; or a checkpoint, which holds
            its own.
        checkpoint: Checkpoint, its file or address, or a work dir; random weights where it is None.
            The genotype is that of the checkpoint, see :func:`adopt_genotype`; the weights are
            those that the editor infers with.
        genotype_override: The genotype of the config was given on purpose, e.g. by
            ``--cfg-options``.

    Returns:
        The network in evaluation mode, on the CPU; folded where it trains with more than it runs
        with (``ElasticNet``).

    Raises:
        ValueError: The config has no generator, or the checkpoint is of another network.
    """
    if not isinstance(config, Config):
        config = read_config(config)
    if "generator" not in config.get("model", {}):
        raise ValueError(f"{config.filename}: the config has no 'model.generator'.")
    init_default_scope(config.get("default_scope", "mmagic"))
    if checkpoint is None:
        return folded(MODELS.build(config.model.generator))
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = read_checkpoint(checkpoint)
    config = copy.deepcopy(config)
    adopt_genotype(config, checkpoint, genotype_override)
    network = MODELS.build(config.model.generator)
    checkpoint.load_into(network, EMA if _uses_ema(config.model) else "generator")
    return folded(network)


def folded(network: Any) -> nn.Module:
    """The network in evaluation mode, as it is run: without branches that only train."""
    network = network.eval()
    return network.fold() if hasattr(network, "fold") else network


def adopt_genotype(config: Config, checkpoint: Checkpoint, override: bool = False) -> None:
    """Puts the genotype of a checkpoint into a config, so that its network is the one that runs.

    A genotype of the config gives way where it is a published name, as in the configs of the zoo,
    or left out. One that is spelled out, as a file or value, must be that of the checkpoint, as
    must every argument of the generator that a genotype has too, such as ``upscale_factor``. With
    ``override`` the config stands, and a difference is only told.

    Args:
        config: Config with ``model.generator``; changed in place.
        checkpoint: Trained network; nothing happens where it has no genotype.
        override: The genotype of the config was given for this very checkpoint.

    Raises:
        CheckpointError: Config and checkpoint disagree; the message names both.
    """
    generator = config.model.get("generator")
    stored = checkpoint.genotype
    if generator is None or stored is None:
        return
    init_default_scope(config.get("default_scope", "mmagic"))
    named = generator.get("genotype")
    both = f"{checkpoint} was made with {stored}, model.generator.genotype={named!r}"
    if named is not None or not _requires_genotype(generator):
        found = getattr(MODELS.build(generator), "genotype", stored)
        if found == stored or callable(found):  # the latter is a supernet
            return
        both += f" is {found}"
        if override:
            print_log(f"{both}, which overrides it: are the weights trained for it?", "current", 30)
            return
    fields = stored.to_dict()
    given = {key: generator[key] for key in fields if generator.get(key) is not None}
    wrong = [f"{key}={value!r}" for key, value in given.items() if value != fields[key]]
    if named is not None and named not in published_genotypes():
        wrong.append(f"genotype={named!r}")
    if wrong:
        raise CheckpointError(
            f"{both}. Leave {', '.join(wrong)} of model.generator out to run the network of the "
            "checkpoint."
        )
    kept = {k: v for k, v in generator.items() if k not in (*fields, "genotype")}
    adopted = ConfigDict(kept, genotype=fields)
    try:
        MODELS.build(adopted)
    except ValueError as error:
        raise CheckpointError(f"{both}, which cannot take its place. {error}") from None
    config.model.generator = adopted
    print_log(f"{both}: the network of the checkpoint is run.", "current")


def _requires_genotype(generator: ConfigDict) -> bool:
    """Tells whether a network cannot be built without a genotype."""
    builder: Any = MODELS.get(generator.get("type", ""))
    argument = inspect.signature(builder).parameters.get("genotype") if builder else None
    return argument is not None and argument.default is argument.empty


def _uses_ema(model: ConfigDict) -> bool:
    """Tells whether an editor infers with averaged weights, which some classes do by default."""
    editor: Any = MODELS.get(model.get("type", "BaseEditModel"))
    default = inspect.signature(editor).parameters.get("is_use_ema")
    return default is not None and model.get("is_use_ema", default.default)
