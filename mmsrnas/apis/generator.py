"""The network of a config, with or without trained weights."""

from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from torch import nn

from mmsrnas.compat import explain_refused_checkpoint
from mmsrnas.registry import MODELS

__all__ = ["init_generator"]

PREFIX = "generator."


def init_generator(config: str | Path | Config, checkpoint: str | Path | None = None) -> nn.Module:
    """Builds the generator of an editor's config.

    Args:
        config: Config of ours or of mmagic, with ``model.generator``.
        checkpoint: Checkpoint file or address; random weights where it is None.

    Returns:
        The network in evaluation mode, on the CPU.

    Raises:
        ValueError: The config has no generator, or the checkpoint is of another network.
    """
    if not isinstance(config, Config):
        config = Config.fromfile(config)
    if "generator" not in config.get("model", {}):
        raise ValueError(f"{config.filename}: the config has no 'model.generator'.")
    init_default_scope(config.get("default_scope", "mmagic"))
    network = MODELS.build(config.model.generator)
    if checkpoint is not None:
        _load(network, str(checkpoint), str(config.filename))
    return network.eval()


def _load(network: nn.Module, checkpoint: str, config: str) -> None:
    with explain_refused_checkpoint(checkpoint):
        state = CheckpointLoader.load_checkpoint(checkpoint, map_location="cpu")
    state = state.get("state_dict", state)
    state = {k.removeprefix(PREFIX): v for k, v in state.items() if k.startswith(PREFIX)}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = "\n".join(str(error).splitlines()[:4])
        raise ValueError(
            f"checkpoint '{checkpoint}' is not of the network in '{config}': scale, width or "
            "genotype differ. A searched network needs --cfg-options "
            f"model.generator.genotype=.../genotype.json\n{first}"
        ) from None
