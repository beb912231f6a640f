"""onnxruntime on the CPU.

The operators of a network are the nodes that onnxruntime itself makes of the file: fused, and in
the blocked layout that it prefers. Each can be run alone, as a file of one node.
"""

import copy
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.onnx.utils
from torch import nn

from mmsrnas.latency.targets import Target
from mmsrnas.sizes import in_channels_of

from .operator import Operator, conv_kind

__all__ = ["list_operators", "prepare", "prepare_operator", "write_onnx"]

OPSET = 17
BLOCKED = "com.microsoft.nchwc"


def write_onnx(network: nn.Module, path: Path, input_size: tuple[int, int, int]) -> Path:
    """Writes a network for an input ``(1, *input_size)`` and returns the path."""
    image = torch.rand(1, *input_size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file is for timing only
        torch.onnx.utils.export(
            copy.deepcopy(network).eval(),
            (image,),
            str(path),
            opset_version=OPSET,
            input_names=["input"],
        )
    return path


def _session(model: str | bytes, threads: int, optimised: Path | None = None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # the file is for this machine only: known
    if optimised:
        options.optimized_model_filepath = str(optimised)
    if isinstance(model, bytes):  # one node, which is to stay as it is
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@contextmanager
def prepare(network: nn.Module, target: Target) -> Iterator[Callable[[], None]]:
    """Makes a network ready; yields what runs it once."""
    with tempfile.TemporaryDirectory() as folder:
        size = (in_channels_of(network), *target.input_size)
        session = _session(
            str(write_onnx(network, Path(folder) / "network.onnx", size)), target.threads
        )
    image = np.random.rand(1, *size).astype(np.float32)
    yield lambda: session.run(None, {"input": image})


def list_operators(
    network: nn.Module, target: Target, input_size: tuple[int, int, int]
) -> Sequence[Operator]:
    """The nodes that onnxruntime makes of a network."""
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = write_onnx(network, Path(folder) / "network.onnx", input_size)
        optimised = Path(folder) / "optimised.onnx"
        _session(str(path), target.threads, optimised)
        original = onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
        model = onnx.load(optimised)
    shapes = _Shapes(original, model)
    return [_operator(node, shapes) for node in model.graph.node if shapes.follow(node)]


class _Shapes:
    """Shapes of the tensors of an optimised file, from those of the original one.

    Args:
        original: The file as it was exported, with inferred shapes.
        model: The file that onnxruntime made of it.
    """

    def __init__(self, original: Any, model: Any) -> None:
        import onnx

        self.values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        self.types: dict[str, int] = {t.name: t.data_type for t in model.graph.initializer}
        self.shapes = {name: value.shape for name, value in self.values.items()}
        graph = original.graph
        for info in [*graph.input, *graph.value_info, *graph.output]:
            tensor = info.type.tensor_type
            self.shapes[info.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
            self.types[info.name] = tensor.elem_type

    def follow(self, node: Any) -> bool:
        """Notes the shapes of what a node makes; constants and shapes move no data."""
        import onnx

        if node.op_type == "Constant":
            value = onnx.numpy_helper.to_array(node.attribute[0].t)
            self.values[node.output[0]] = value
            self.shapes[node.output[0]] = value.shape
            self.types[node.output[0]] = node.attribute[0].t.data_type
            return False
        for name in node.output:
            if name and name not in self.shapes:
                self.shapes[name] = self._output(node)
                self.types[name] = onnx.TensorProto.FLOAT
        return bool(self.shapes[node.output[0]])

    def _output(self, node: Any) -> tuple[int, ...]:
        source = self.shapes[node.input[0]]
        attributes = _attributes(node)
        if node.op_type in ("ReorderInput", "ReorderOutput"):
            channels = attributes.get("channels", -(-source[1] // 8) * 8)
            return (source[0], channels, *source[2:])
        if "Conv" in node.op_type or "Pool" in node.op_type:
            weight = self.shapes[node.input[1]] if "Conv" in node.op_type else ()
            kernel = attributes.get("kernel_shape", weight[2:])
            channels = weight[0] if weight else source[1]
            return (source[0], channels, *_windows(source[2:], kernel, attributes))
        if node.op_type == "Upsample":
            scales = attributes.get("scales", (1, 1, 1, 1))
            return tuple(int(size * scale) for size, scale in zip(source, scales, strict=True))
        sources = [self.shapes[name] for name in node.input if name in self.shapes]
        return tuple(np.broadcast_shapes(*sources))


def _windows(size: Sequence[int], kernel: Sequence[int], attributes: dict) -> tuple[int, ...]:
    strides = attributes.get("strides", (1, 1))
    dilations = attributes.get("dilations", (1, 1))
    pads = attributes.get("pads", (0, 0, 0, 0))
    return tuple(
        (n + pads[i] + pads[i + 2] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1
        for i, n in enumerate(size)
    )


def _attributes(node: Any) -> dict[str, Any]:
    import onnx

    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _operator(node: Any, shapes: _Shapes) -> Operator:
    attributes = _attributes(node)
    inputs = [
        (shapes.shapes.get(name, ()), shapes.types.get(name, 1), shapes.values.get(name))
        for name in node.input
    ]
    # Integers and scalars are parameters of the operator (sizes, axes), floats are its data.
    small = [value.tolist() for _, _, value in inputs if value is not None and value.size <= 8
             and value.dtype != np.float32]  # fmt: skip
    sizes = "x".join(str(list(shape)) for shape, _, _ in inputs)
    settings = {k: v for k, v in sorted(attributes.items()) if not isinstance(v, bytes)}
    texts = {k: v.decode() for k, v in sorted(attributes.items()) if isinstance(v, bytes)}
    name = f"{node.domain.rpartition('.')[2]}.{node.op_type}".lstrip(".")
    kind = "memory"
    if "Conv" in node.op_type and "Transpose" not in node.op_type:
        kernel = attributes.get("kernel_shape", inputs[1][0][2:])
        kind = conv_kind(tuple(kernel), attributes.get("group", 1))
    outputs = [shapes.shapes.get(out, ()) for out in node.output]
    key = f"{name} {sizes} {settings or ''} {texts or ''} {small or ''}".strip()
    return Operator(key, kind, (node, inputs, outputs))


@contextmanager
def prepare_operator(operator: Operator, target: Target) -> Iterator[Callable[[], None]]:
    """Makes one node ready on random data."""
    import onnx

    node, inputs, outputs = operator.spec
    rng = np.random.default_rng(0)
    feeds, infos, constants = {}, [], []
    for name, (shape, kind, value) in zip(node.input, inputs, strict=True):
        if not name:
            continue
        if value is not None:
            constants.append(onnx.numpy_helper.from_array(value, name))
        elif name not in feeds:
            feeds[name] = rng.random(shape, dtype=np.float32)
            infos.append(onnx.helper.make_tensor_value_info(name, kind, shape))
    made = [onnx.helper.make_tensor_value_info(n, 1, s)
            for n, s in zip(node.output, outputs, strict=True)]  # fmt: skip
    graph = onnx.helper.make_graph([node], "operator", infos, made, constants)
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    opsets += [onnx.helper.make_opsetid(d, 1) for d in (BLOCKED, "com.microsoft")]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = _session(model.SerializeToString(), target.threads)
    yield lambda: session.run(None, feeds)
