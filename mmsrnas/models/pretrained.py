"""Strict loading of a part of a checkpoint."""

from pathlib import Path

from mmengine.runner import CheckpointLoader
from torch import nn

__all__ = ["load_pretrained"]


def load_pretrained(module: nn.Module, checkpoint: str, prefix: str, key: str) -> bool:
    """Loads the entries of a checkpoint that begin with a prefix, all of them or none.

    Args:
        module: What they are the weights of.
        checkpoint: File or address.
        prefix: Beginning of the names, e.g. ``'generator.'``.
        key: The config key that names the checkpoint, for messages.

    Returns:
        Whether the checkpoint has such entries.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The entries are not those of the module.
    """
    if "://" not in checkpoint and not Path(checkpoint).is_file():
        raise FileNotFoundError(f"{key}: checkpoint '{checkpoint}' does not exist.")
    weights = CheckpointLoader.load_checkpoint(checkpoint, map_location="cpu")
    weights = weights.get("state_dict", weights)
    given = {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
    if not given:
        return False
    expected = module.state_dict()
    differences = [f"it lacks '{name}'" for name in expected if name not in given]
    differences += [f"'{name}' is too much" for name in given if name not in expected]
    differences += [
        f"'{name}' is {tuple(given[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in given and given[name].shape != tensor.shape
    ]
    if differences:
        raise ValueError(
            f"{key}: '{checkpoint}' has other '{prefix}' weights than this config, "
            f"{len(differences)} in all: {', '.join(differences[:3])}. Is it of another scale, "
            "size or genotype?"
        )
    module.load_state_dict(given)
    return True
