"""onnxruntime on the CPU.

The operators of a network are the nodes that onnxruntime itself makes of the file: fused, and in
the blocked layout that it prefers. Each can be run alone, as a file of one node.
"""

import copy
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.onnx.utils
from torch import nn

from mmsrnas.latency.targets import Target
from mmsrnas.sizes import in_channels_of

from .operator import Operator, conv_kind

__all__ = ["empty_operator", "list_operators", "prepare", "prepare_operator", "write_onnx"]

OPSET = 17
BLOCKED = "com.microsoft.nchwc"
FLOAT = 1
"""Number of float32 among the types of ONNX."""


def write_onnx(network: nn.Module, path: Path, input_size: tuple[int, int, int]) -> Path:
    """Writes a network for an input ``(1, *input_size)`` and returns the path."""
    image = torch.rand(1, *input_size)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file is for timing only
        torch.onnx.utils.export(
            copy.deepcopy(network).cpu().eval(),
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
def prepare(network: nn.Module | Path, target: Target) -> Iterator[Callable[[], None]]:
    """Makes a network, or a file, ready; yields what runs it once."""
    with tempfile.TemporaryDirectory() as folder:
        path = network
        if isinstance(network, nn.Module):
            size = (in_channels_of(network), *target.input_size)
            path = write_onnx(network, Path(folder) / "network.onnx", size)
        session = _session(str(path), target.threads)
    (entry,) = session.get_inputs()
    channels = entry.shape[1] if isinstance(entry.shape[1], int) else 3
    kind = np.float16 if entry.type == "tensor(float16)" else np.float32
    image = np.random.rand(1, channels, *target.input_size).astype(kind)
    yield lambda: session.run(None, {entry.name: image})


def list_operators(
    network: nn.Module, target: Target, input_size: tuple[int, int, int]
) -> Sequence[Operator]:
    """The nodes that onnxruntime makes of a network."""
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = write_onnx(network, Path(folder) / "network.onnx", input_size)
        optimised = Path(folder) / "optimised.onnx"
        _session(str(path), target.threads, optimised)
        model = onnx.load(optimised)
    shapes = _Shapes(model)
    return [_operator(node, shapes) for node in model.graph.node if shapes.follow(node)]


class _Shapes:
    """Shapes of the tensors of a file that onnxruntime made, found node by node.

    Args:
        model: The file, for an input of fixed size, so that all sizes in it are constants.
    """

    def __init__(self, model: Any) -> None:
        import onnx

        self.values: dict[str, np.ndarray] = {}
        self.types: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        for info in model.graph.input:
            self.shapes[info.name] = _dims(info)
            self.types[info.name] = info.type.tensor_type.elem_type
        for tensor in model.graph.initializer:
            self._constant(tensor.name, onnx.numpy_helper.to_array(tensor), tensor.data_type)

    def _constant(self, name: str, value: np.ndarray, kind: int) -> None:
        self.values[name], self.shapes[name], self.types[name] = value, value.shape, kind

    def follow(self, node: Any) -> bool:
        """Notes the shapes of what a node makes; constants and shapes move no data."""
        import onnx

        if node.op_type == "Constant":
            tensor = node.attribute[0].t
            self._constant(node.output[0], onnx.numpy_helper.to_array(tensor), tensor.data_type)
            return False
        found = None if node.domain else self._standard(node)
        for index, name in enumerate(node.output):
            self.types[name] = found[index].type.tensor_type.elem_type if found else FLOAT
            self.shapes[name] = _dims(found[index]) if found else self._blocked(node)
        return bool(self.shapes[node.output[0]])

    def inputs(self, node: Any) -> list[tuple]:
        """Name, shape, type and, of constants, value of each input of a node."""
        names = dict.fromkeys(filter(None, node.input))
        return [(n, self.shapes[n], self.types.get(n, 1), self.values.get(n)) for n in names]

    def _standard(self, node: Any) -> Any:
        """The outputs of a node by the rules of ONNX."""
        import onnx

        graph = _one_node(node, self.inputs(node), [(name, None) for name in node.output])
        for output in graph.output:
            output.ClearField("type")
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)])
        return onnx.shape_inference.infer_shapes(model, data_prop=True).graph.output

    def _blocked(self, node: Any) -> tuple[int, ...]:
        """Shape of a node in the blocked layout, or of one that onnxruntime fused."""
        source = self.shapes[node.input[0]]
        attributes = _attributes(node)
        last = attributes.get("channels_last", 0)
        if node.op_type == "ReorderInput":
            batch, *size, channels = source if last else (source[0], *source[2:], source[1])
            return (batch, -(-channels // _block_size()) * _block_size(), *size)
        if node.op_type == "ReorderOutput":
            batch, size, channels = source[0], source[2:], attributes["channels"]
            return (batch, *size, channels) if last else (batch, channels, *size)
        if "Conv" in node.op_type or "Pool" in node.op_type:
            weight = self.shapes[node.input[1]] if "Conv" in node.op_type else ()
            kernel = attributes.get("kernel_shape", weight[2:])
            channels = weight[0] if weight else source[1]
            if "Global" in node.op_type:
                return (source[0], channels, 1, 1)
            return (source[0], channels, *_windows(source[2:], kernel, attributes))
        if node.op_type == "Upsample":
            scales = attributes.get("scales", (1, 1, 1, 1))
            return tuple(int(size * scale) for size, scale in zip(source, scales, strict=True))
        if node.op_type == "Concat":
            sizes = [self.shapes[name][1] for name in node.input]
            return (source[0], sum(sizes), *source[2:])
        return source  # activations, sums


@cache
def _block_size() -> int:
    """Channels of a block of the blocked layout: 8 with AVX2, 16 with AVX-512."""
    import onnx

    node = onnx.helper.make_node("ReorderInput", ["x"], ["y"], domain=BLOCKED)
    graph = _one_node(node, [("x", (1, 4, 1, 1), FLOAT, None)], [("y", None)])
    opsets = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid(BLOCKED, 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    (made,) = _session(model.SerializeToString(), 1).run(None, {"x": np.zeros((1, 4, 1, 1), "f")})
    return made.shape[1]


def _dims(info: Any) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)


def _windows(size: Sequence[int], kernel: Sequence[int], attributes: dict) -> tuple[int, ...]:
    strides = attributes.get("strides", (1, 1))
    if attributes.get("auto_pad", b"").startswith(b"SAME"):
        return tuple(-(-n // stride) for n, stride in zip(size, strides, strict=True))
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
    inputs = shapes.inputs(node)
    outputs = [(name, shapes.shapes[name]) for name in node.output if name]
    # Integers and scalars are parameters of the operator (sizes, axes), floats are its data.
    small = [v.tolist() for *_, v in inputs if v is not None and v.dtype != np.float32]
    sizes = "x".join(str(list(shapes.shapes.get(name, ()))) for name in node.input)
    settings = {k: v for k, v in sorted(attributes.items()) if not isinstance(v, bytes)}
    texts = {k: v.decode() for k, v in sorted(attributes.items()) if isinstance(v, bytes)}
    name = f"{node.domain.rpartition('.')[2]}.{node.op_type}".lstrip(".")
    kind = "memory"
    if "Conv" in node.op_type and "Transpose" not in node.op_type:
        kernel = attributes.get("kernel_shape", inputs[1][1][2:])
        kind = conv_kind(tuple(kernel), attributes.get("group", 1))
    key = f"{name} {sizes} {settings or ''} {texts or ''} {small or ''}".strip()
    return Operator(key, kind, (node, inputs, outputs))


def _one_node(node: Any, inputs: Sequence[tuple], outputs: Sequence[tuple]) -> Any:
    """A graph of one node.

    Args:
        node: The node.
        inputs: Name, shape, type and, of constants, value of each input.
        outputs: Name and shape of each output; None where it is to be found.
    """
    import onnx

    info = onnx.helper.make_tensor_value_info
    constants = [onnx.numpy_helper.from_array(v, n) for n, _, _, v in inputs if v is not None]
    fed = [info(name, kind, shape) for name, shape, kind, value in inputs if value is None]
    made = [info(name, 1, shape) for name, shape in outputs]
    return onnx.helper.make_graph([node], "operator", fed, made, constants)


def empty_operator() -> Operator:
    """A node that does next to nothing: its time is what starting a session takes."""
    import onnx

    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    return Operator("empty", "memory", (node, [("x", (1,), FLOAT, None)], [("y", (1,))]))


@contextmanager
def prepare_operator(operator: Operator, target: Target) -> Iterator[Callable[[], None]]:
    """Makes one node ready on random data."""
    import onnx

    node, inputs, outputs = operator.spec
    rng = np.random.default_rng(0)
    feeds = {
        n: rng.random(shape, dtype=np.float32) for n, shape, _, value in inputs if value is None
    }
    graph = _one_node(node, inputs, outputs)
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    opsets += [onnx.helper.make_opsetid(d, 1) for d in (BLOCKED, "com.microsoft")]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = _session(model.SerializeToString(), target.threads)
    yield lambda: session.run(None, feeds)
