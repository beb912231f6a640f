"""Networks from files: our checkpoints alone, ONNX and OpenVINO files, peers of spandrel."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
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

__all__ = ["CARD", "LoadedModel", "generator_config", "load_model", "load_network"]

CARD = "mmsrnas"
"""Key of the model card among the metadata of an ONNX file."""
UNIT_RANGE = ({0.0}, {255.0})


@dataclass(frozen=True)
class LoadedModel:
    """A network that is ready to run.

    Attributes:
        run: Maps images ``(N, C, H, W)`` in [0, 1] to restored ones, not clamped.
        upscale_factor: Ratio of output to input size.
        in_channels: Channels of the images.
        min_size: Smallest height and width.
        network: The torch module; None for an ONNX file.
        card: What an exported file says about itself.
    """

    run: Callable[[Tensor], Tensor]
    upscale_factor: int
    in_channels: int
    min_size: int
    network: nn.Module | None
    card: Mapping[str, Any]


def load_model(
    model: str | Path | nn.Module, config: str | Path | Config | None = None
) -> LoadedModel:
    """Makes a network ready from a file alone.

    Args:
        model: A checkpoint of ours (with the config or genotype that it carries), an ``.onnx`` or
            OpenVINO ``.xml`` file, weights of a network that spandrel knows, the work dir of a
            run, or a network.
        config: Config of the network, for a checkpoint that does not say what it is.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file does not tell its network, or tells another one than ``config``.
    """
    if not isinstance(model, nn.Module):
        loader = _LOADERS.get(Path(model).suffix.lower())
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


def _load_onnx(path: Path) -> LoadedModel:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "MODEL: an .onnx file needs the package 'onnxruntime': pip install onnxruntime"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        providers = onnxruntime.get_available_providers()
        session = onnxruntime.InferenceSession(str(path), options, providers)
    except Exception as error:  # onnxruntime has an exception of its own for every status
        raise ValueError(f"MODEL: '{path}' is no ONNX file that runs: {error}") from None
    (entry, *others), outputs = session.get_inputs(), session.get_outputs()
    if others or len(outputs) != 1 or len(entry.shape) != 4:
        raise ValueError(
            f"MODEL: '{path}' must map one image (N, C, H, W) to one image; it has inputs "
            f"{[i.shape for i in session.get_inputs()]} and {len(outputs)} outputs."
        )
    kind = np.float16 if entry.type == "tensor(float16)" else np.float32

    def run(x: Tensor) -> Tensor:
        (y,) = cast(Any, session.run(None, {entry.name: x.numpy().astype(kind)}))
        return torch.from_numpy(y.astype(np.float32))

    text = session.get_modelmeta().custom_metadata_map.get(CARD)
    card = json.loads(text) if text else {}
    channels = entry.shape[1] if isinstance(entry.shape[1], int) else 3
    probe = torch.zeros(1, channels, 48, 48)
    scale = card.get("scale") or run(probe).shape[-1] // 48
    return LoadedModel(run, scale, channels, card.get("min_size", 1), None, card)


def _load_openvino(path: Path) -> LoadedModel:
    try:
        import openvino  # pyright: ignore[reportMissingImports]  (an optional package)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "MODEL: an .xml file of OpenVINO needs the package 'openvino': pip install openvino"
        ) from None
    core = openvino.Core()
    model = core.read_model(str(path))
    card = {}
    if model.has_rt_info([CARD]):
        card = json.loads(model.get_rt_info([CARD]).astype(str))
    config = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", config).create_infer_request()

    def run(x: Tensor) -> Tensor:
        result = request.infer([np.ascontiguousarray(x.numpy())])
        return torch.from_numpy(np.array(next(iter(result.values())), np.float32))

    shape = model.inputs[0].get_partial_shape()
    channels = shape[1].get_length() if shape[1].is_static else 3
    scale = card.get("scale") or run(torch.zeros(1, channels, 48, 48)).shape[-1] // 48
    return LoadedModel(run, scale, channels, card.get("min_size", 1), None, card)


_LOADERS = {".onnx": _load_onnx, ".xml": _load_openvino}
