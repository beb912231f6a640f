"""Networks from files: our checkpoints alone, exported files, peers of spandrel."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import Tensor, nn

from mmsrnas.apis.generator import init_generator
from mmsrnas.checkpoint import (
    Checkpoint,
    CheckpointError,
    read_checkpoint,
    require_registered,
)
from mmsrnas.sizes import in_channels_of, min_size_of, upscale_factor_of

from .runtimes import LOADERS, LoadedModel

__all__ = ["generator_config", "load_model", "load_network"]

UNIT_RANGE = ({0.0}, {255.0})


def load_model(
    model: str | Path | nn.Module, config: str | Path | Config | None = None
) -> LoadedModel:
    """Makes a network ready from a file alone.

    Args:
        model: A checkpoint of ours (with the config or genotype that it carries), an ``.onnx``,
            OpenVINO ``.xml`` or ncnn ``.param`` file, weights of a network that spandrel knows, the
            work dir of a run, or a network.
        config: Config of the network, for a checkpoint that does not say what it is.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file does not tell its network, or tells another one than ``config``.
    """
    if not isinstance(model, nn.Module):
        loader = LOADERS.get(Path(model).suffix.lower())
        if loader:
            if not Path(model).is_file():
                raise FileNotFoundError(f"MODEL: '{model}' does not exist.")
            return loader(Path(model))
    network = model if isinstance(model, nn.Module) else load_network(model, config)
    network = network.eval()
    return LoadedModel(
        network,
        upscale_factor_of(network),
        in_channels_of(network),
        min_size_of(network),
        network,
        {},
    )


def load_network(source: str | Path, config: str | Path | Config | None = None) -> nn.Module:
    """The network of a checkpoint, with its weights.

    Args:
        source: Checkpoint or work dir.
        config: As for :func:`load_model`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: As for :func:`load_model`.
    """
    checkpoint = read_checkpoint(source, "MODEL")
    if config is not None:
        cfg = config if isinstance(config, Config) else Config.fromfile(config)
    elif (cfg := _own_config(checkpoint)) is None:
        return _load_foreign(checkpoint)
    _require_unit_range(cfg, checkpoint)
    return init_generator(cfg, checkpoint)


def _own_config(checkpoint: Checkpoint) -> Config | None:
    """A config of the network that a checkpoint holds; None where it says nothing about it."""
    generator = generator_config(checkpoint)
    if generator is None:
        return None
    cfg = checkpoint.config() if checkpoint.meta.get("cfg") else Config(dict(model={}))
    cfg.model.generator = generator
    return cfg


def generator_config(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Config of the network that a checkpoint holds, complete: no other file is needed.

    Args:
        checkpoint: A checkpoint of a training, converted weights, or an export.

    Returns:
        Type and arguments, with the genotype as data; None where the file says nothing about its
        network.

    Raises:
        CheckpointError: It is one of a search, which holds no single network.
    """
    meta, genotype = checkpoint.meta, checkpoint.genotype
    if isinstance(stored := meta.get("generator"), Mapping):
        generator = dict(stored)
        try:
            require_registered(generator)
        except ValueError as error:
            raise CheckpointError(f"{checkpoint}: its network is refused: {error}") from None
    elif meta.get("cfg"):
        model = checkpoint.config().get("model", {})
        if "generator" not in model:
            raise CheckpointError(f"{checkpoint}: its config has no 'model.generator'.")
        generator = model.generator.to_dict()
    elif genotype is not None and genotype.network:
        return {"type": f"mmsrnas.{genotype.network}", "genotype": genotype.to_dict()}
    else:
        return None
    if str(generator["type"]).endswith(("Supernet", "ChannelNumberSearch")):
        raise CheckpointError(
            f"{checkpoint}: is one of a search. Derive its genotype (mmsrnas derive), train that "
            "network, and use its checkpoint."
        )
    if genotype is not None:
        fields = genotype.to_dict()
        generator = {k: v for k, v in generator.items() if k not in fields} | {"genotype": fields}
    return generator


def _require_unit_range(cfg: Config, checkpoint: Checkpoint) -> None:
    """Refuses editors that hand their network anything but images in [0, 1]."""
    preprocessor = cfg.model.get("data_preprocessor") or {}
    mean, std = preprocessor.get("mean") or [0.0], preprocessor.get("std") or [255.0]
    if ({float(m) for m in mean}, {float(s) for s in std}) != UNIT_RANGE:
        raise CheckpointError(
            f"{checkpoint}: its data_preprocessor has mean={list(mean)} and std={list(std)}; only "
            "networks for images in [0, 1] (mean 0, std 255) are run here."
        )


def _load_foreign(checkpoint: Checkpoint) -> nn.Module:
    """A network that spandrel recognises by its weights."""
    advice = (
        f"{checkpoint}: holds neither a config nor a genotype, so it does not say which network "
        "it is of. Name the config by --config"
    )
    try:
        import spandrel
    except ModuleNotFoundError:
        raise CheckpointError(
            f"{advice}, or install 'spandrel', which recognises many networks."
        ) from None
    state = checkpoint.part("generator") or checkpoint.weights
    try:
        found = spandrel.ModelLoader().load_from_state_dict(dict(state))
    except Exception as error:  # of a detector or of the network's constructor
        raise CheckpointError(f"{advice}; spandrel does not know it ({error}).") from None
    if not isinstance(found, spandrel.ImageModelDescriptor):
        raise CheckpointError(f"{checkpoint}: {found.architecture.name} takes more than one image.")
    return SpandrelNet(found)


class SpandrelNet(nn.Module):
    """A network of spandrel as a generator.

    Args:
        descriptor: What spandrel loaded; it pads images to the sizes that the network needs.
    """

    min_size = 1

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.net = descriptor.model
        self.upscale_factor: int = descriptor.scale
        self.in_channels: int = descriptor.input_channels

    def forward(self, x: Tensor) -> Tensor:
        """Restores images ``(N, C, H, W)`` in [0, 1]."""
        needs = self.descriptor.size_requirements
        height, width = x.shape[2:]
        pad = needs.get_padding(width, height) if needs is not None else (0, 0)
        scale = self.upscale_factor
        if any(pad):
            x = nn.functional.pad(x, (0, pad[0], 0, pad[1]), "replicate")
        return self.net(x)[..., : height * scale, : width * scale]
