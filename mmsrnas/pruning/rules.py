"""What operators do with channels: one short rule for each kind.

A rule reads the labels of the tensors of a call, joins those that must stay or go together, and
says the labels of the result. What has no rule keeps its channels, and is named.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from .tracing import Call, ChannelTracer, Labels, Product

__all__ = ["RULES", "pointwise", "rule"]

Rule = Callable[[ChannelTracer, Call], None]

RULES: dict[str, Rule] = {}
"""Rule by the name of an operator without its overload; pointwise ones need none."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enters a rule for operators.

    Args:
        names: Names in ``torch.ops.aten``, without overloads.
    """

    def enter(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return enter


@rule("_prelu_kernel", "zeros_like", "ones_like", "empty_like", "full_like", "alias", "detach")
@rule("lift_fresh", "_to_copy", "contiguous", "copy_", "lift_fresh_copy", "rand_like")
# Pointwise ones that torch 2.6 to 2.11 do not mark as such:
@rule("_conj_physical", "celu_", "elu_", "hardsigmoid_", "hardtanh_", "leaky_relu", "leaky_relu_")
@rule("selu_")
def pointwise(tracer: ChannelTracer, call: Call) -> None:
    """Index by index, with broadcasting."""
    result = call.result
    axes: list[Labels] = []
    tensors = [tensor for tensor in call.tensors if tensor.ndim]
    for dim in range(-result.ndim, 0):
        found = [
            tracer.axes(tensor)[dim]
            for tensor in tensors
            if tensor.ndim >= -dim and tensor.shape[dim] == result.shape[dim]
        ]
        for other in found[1:]:
            tracer.match(found[0], other)
        axes.append(next((labels for labels in found if labels is not None), None))
    tracer.set(result, axes)


@rule("new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided")
def another(tracer: ChannelTracer, call: Call) -> None:
    """A new tensor with nothing of the old one but its type."""


@rule("native_dropout")
def dropout(tracer: ChannelTracer, call: Call) -> None:
    """Index by index, with a mask beside the result."""
    for tensor in call.result:
        tracer.set(tensor, tracer.axes(call["input"]))


@rule("convolution")
def convolution(tracer: ChannelTracer, call: Call) -> None:
    """Dense, grouped, depthwise, transposed."""
    weight, groups, transposed = call["weight"], call["groups"], call["transposed"]
    inputs, axes = tracer.axes(call["input"]), tracer.axes(weight)
    for labels in (*axes[2:], *inputs[2:]):
        tracer.fix(labels, "is the kernel of a convolution")
    if groups == 1:
        reads, makes = (axes[0], axes[1]) if transposed else (axes[1], axes[0])
        tracer.consume(inputs[1], reads)
        made = tracer.produce(makes)
    elif weight.shape[1] == 1:  # depthwise, with one or several outputs for each input
        made = axes[0]
        tracer.match(_repeat(inputs[1], weight.shape[0] // groups), made)
    else:
        made = _grouped(tracer, inputs[1], axes, groups, transposed)
    if call["bias"] is not None:
        tracer.match(tracer.axes(call["bias"])[0], made)
    image = call["input"] if transposed else call.result
    factor = math.prod(weight.shape[2:]) * math.prod(image.shape[2:]) * image.shape[0]
    conv = _describe(call) if weight.ndim == 4 else None
    tracer.products.append(Product(factor, tuple(weight.shape[:2]), tuple(axes[:2]), conv))
    if math.prod(call.result.shape[2:]) == 1 and made is not None:
        tracer.pooled.append(made)
    tracer.set(call.result, [inputs[0], made, *[None] * (call.result.ndim - 2)])


def _describe(call: Call) -> dict[str, Any]:
    names = ("stride", "padding", "dilation", "groups", "transposed")
    return {name: call[name] for name in names} | {
        "kernel_size": tuple(call["weight"].shape[2:]),
        "bias": call["bias"] is not None,
        "depthwise": call["groups"] > 1 and call["weight"].shape[1] == 1,
        "size": tuple(call["input"].shape[2:]),
    }


def _grouped(
    tracer: ChannelTracer, inputs: Labels, axes: list[Labels], groups: int, transposed: bool
) -> Labels:
    """Every group keeps as many channels as the others: the same ones."""
    first, second = axes[:2]
    if first is not None:
        rows = first.reshape(groups, -1)
        for row in rows[1:]:
            tracer.match(rows[0], row)
    spread = None if second is None else np.tile(second, groups)
    reads, makes = (first, spread) if transposed else (spread, first)
    tracer.consume(inputs, reads)
    return tracer.produce(makes)


def _repeat(labels: Labels, times: int) -> Labels:
    return None if labels is None else np.repeat(labels, times)


@rule("mm", "bmm", "addmm", "baddbmm")
def matrix_product(tracer: ChannelTracer, call: Call) -> None:
    """Sums over the last dimension of the first matrix and the last but one of the second."""
    *bias, first, second = call.tensors
    left, right = tracer.axes(first), tracer.axes(second)
    tracer.consume(left[-1], right[-2])
    for outer in (left[-2], right[-1]):
        tracer.produce(outer)
    for one, other in zip(left[:-2], right[:-2], strict=True):
        tracer.match(one, other)
    for tensor in bias:
        tracer.match(tracer.axes(tensor)[-1], right[-1])
    shape = (*first.shape, second.shape[-1])
    tracer.products.append(Product(1, shape, (*left, right[-1])))
    tracer.set(call.result, [*left[:-1], right[-1]])


@rule("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm")
@rule("_batch_norm_no_update", "_native_batch_norm_legit")
def batch_norm(tracer: ChannelTracer, call: Call) -> None:
    """A scale and a shift for each channel."""
    image, *others = call.tensors
    for tensor in others:
        tracer.match(tracer.axes(image)[1], tracer.axes(tensor)[0])
    tracer.set(call.result[0], tracer.axes(image))


@rule("native_layer_norm", "native_group_norm")
def layer_norm(tracer: ChannelTracer, call: Call) -> None:
    """Every channel depends on the mean over the others."""
    image, *others = call.tensors
    axes = tracer.axes(image)
    normalised = len(call["normalized_shape"]) if "normalized_shape" in call.arguments else None
    fixed = axes[-normalised:] if normalised else axes[1:2]
    for labels in [*fixed, *(axis for tensor in others for axis in tracer.axes(tensor))]:
        tracer.fix(labels, "is normalised over its channels")
    tracer.set(call.result[0], axes)


@rule("mean", "sum", "amax", "amin", "var", "var_mean", "std", "max", "min", "linalg_vector_norm")
@rule("argmax", "prod", "any", "all", "logsumexp")
def reduction(tracer: ChannelTracer, call: Call) -> None:
    """Dimensions that are summed up without weights keep all of their channels."""
    tensors = call.tensors
    axes = tracer.axes(tensors[0])
    if len(tensors) > 1:  # the larger of two tensors
        pointwise(tracer, call)
        return
    dims = call.arguments.get("dim")
    dims = range(len(axes)) if dims in (None, []) else [dims] if isinstance(dims, int) else dims
    dims = {dim % len(axes) for dim in dims}
    for dim in dims:
        tracer.fix(axes[dim], "is summed up over its channels")
    if call.arguments.get("keepdim"):
        kept = [None if dim in dims else labels for dim, labels in enumerate(axes)]
    else:
        kept = [labels for dim, labels in enumerate(axes) if dim not in dims]
    for tensor in call.result if isinstance(call.result, tuple) else (call.result,):
        tracer.set(tensor, kept)


@rule("_softmax", "_log_softmax", "cumsum", "sort")
def softmax(tracer: ChannelTracer, call: Call) -> None:
    """Along its dimension every index depends on the others."""
    axes = tracer.axes(call["self"])
    tracer.fix(axes[call["dim"]], "has a softmax over its channels")
    tracer.set(call.result, axes)


@rule("max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "adaptive_avg_pool2d")
@rule("adaptive_max_pool2d", "reflection_pad2d", "replication_pad2d", "grid_sampler_2d", "roll")
@rule("upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d")
@rule("upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa")
@rule("constant_pad_nd")
def spatial(tracer: ChannelTracer, call: Call) -> None:
    """Height and width change, channels stay."""
    axes = tracer.axes(call.tensors[0])
    for tensor in call.result if isinstance(call.result, tuple) else (call.result,):
        same = call.tensors[0].shape[:-2] == tensor.shape[:-2]
        if not same:
            for labels in axes:
                tracer.fix(labels, f"has channels added by '{call.name}'")
        tracer.set(tensor, [*axes[:-2], None, None] if same else [None] * tensor.ndim)
    for labels in axes[-2:]:
        tracer.fix(labels, f"is resized by '{call.name}'")


@rule("pixel_shuffle")
def pixel_shuffle(tracer: ChannelTracer, call: Call) -> None:
    """A block of r * r channels becomes one."""
    *outer, labels, _, _ = tracer.axes(call["self"])
    if labels is not None:
        blocks = labels.reshape(-1, call["upscale_factor"] ** 2)
        for column in blocks.T[1:]:
            tracer.match(blocks[:, 0], column)
        labels = blocks[:, 0]
    tracer.set(call.result, [*outer, labels, None, None])


@rule("pixel_unshuffle")
def pixel_unshuffle(tracer: ChannelTracer, call: Call) -> None:
    """One channel becomes a block of r * r."""
    *outer, labels, _, _ = tracer.axes(call["self"])
    tracer.set(call.result, [*outer, _repeat(labels, call["downscale_factor"] ** 2), None, None])


@rule("im2col")
def unfold(tracer: ChannelTracer, call: Call) -> None:
    """One channel becomes those of a window."""
    labels = tracer.axes(call["self"])[1]
    tracer.set(call.result, [None, _repeat(labels, math.prod(call["kernel_size"])), None])


@rule("cat")
def concatenate(tracer: ChannelTracer, call: Call) -> None:
    """Channels follow each other; all other dimensions are the same."""
    tensors = [tensor for tensor in call["tensors"] if tensor.numel()]
    dim = call["dim"] % call.result.ndim
    axes = [tracer.axes(tensor) for tensor in tensors]
    result = list(axes[0])
    for other in axes[1:]:
        for index in range(len(result)):
            if index != dim:
                tracer.match(result[index], other[index])
    parts = [labels[dim] for labels in axes]
    if any(part is not None for part in parts):
        whole = [
            _unknown(tracer, tensor.shape[dim]) if part is None else part
            for tensor, part in zip(tensors, parts, strict=True)
        ]
        result[dim] = np.concatenate(whole)
    tracer.set(call.result, result)


def _unknown(tracer: ChannelTracer, count: int) -> np.ndarray:
    labels = tracer.new(count)
    tracer.fix(labels, "is concatenated from no channels, say those of the image")
    return labels


@rule("split", "split_with_sizes", "unbind")
def split(tracer: ChannelTracer, call: Call) -> None:
    """Parts of one size lose the same channels, so that they stay of one size."""
    axes, dim = tracer.axes(call["self"]), call["dim"]
    dim %= len(axes)
    labels, sizes = axes[dim], [part.shape[dim] if part.ndim else 1 for part in call.result]
    if min(sizes) == 1:
        tracer.fix(labels, "is taken apart into single channels")
    if call.name.startswith("aten::unbind"):
        for part in call.result:
            tracer.set(part, [*axes[:dim], *axes[dim + 1 :]])
        return
    if labels is not None and len(set(sizes)) > 1:
        tracer.fix(labels, f"is split at fixed places into {sizes}")
    start = 0
    for part, size in zip(call.result, sizes, strict=True):
        own = None if labels is None else labels[start : start + size]
        if own is not None and labels is not None and len(set(sizes)) == 1:
            tracer.match(labels[:size], own)
        tracer.set(part, [*axes[:dim], own if size > 1 else None, *axes[dim + 1 :]])
        start += size


@rule("slice", "select", "narrow")
def take(tracer: ChannelTracer, call: Call) -> None:
    """A part at fixed places: its channels stay, unless it is all of them."""
    axes, dim = tracer.axes(call["self"]), call["dim"]
    dim %= len(axes)
    whole = call.result.shape == call["self"].shape
    if not whole:
        tracer.fix(axes[dim], "is read at fixed places")
    own: list[Labels] = [axes[dim] if whole else None]
    if call.result.ndim < len(axes):
        own = []
    tracer.set(call.result, [*axes[:dim], *own, *axes[dim + 1 :]])


@rule("permute", "transpose", "t", "movedim", "swapaxes")
def permute(tracer: ChannelTracer, call: Call) -> None:
    """Dimensions change places."""
    axes = tracer.axes(call["self"])
    order = list(range(len(axes)))
    if "dims" in call.arguments:
        order = [dim % len(axes) for dim in call["dims"]]
    else:
        one, other = call.arguments.get("dim0", 0), call.arguments.get("dim1", -1)
        order[one], order[other] = order[other], order[one]
    tracer.set(call.result, [axes[dim] for dim in order])


@rule("flip")
def flip(tracer: ChannelTracer, call: Call) -> None:
    """Indices change places."""
    axes = tracer.axes(call["self"])
    for dim in call["dims"]:
        labels = axes[dim]
        axes[dim] = None if labels is None else labels[::-1].copy()
    tracer.set(call.result, axes)


@rule("expand")
def expand(tracer: ChannelTracer, call: Call) -> None:
    """Dimensions of one index get more."""
    axes = tracer.axes(call["self"])
    missing: list[Labels] = [None] * (call.result.ndim - len(axes))
    tracer.set(call.result, [*missing, *axes])


@rule("_weight_norm_interface")
def weight_norm(tracer: ChannelTracer, call: Call) -> None:
    """Direction and length of each output of a convolution."""
    dim = call["dim"]
    tracer.match(tracer.axes(call["v"])[dim], tracer.axes(call["g"])[dim])
    tracer.set(call.result[0], tracer.axes(call["v"]))


@rule("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "unflatten")
@rule("_reshape_alias")
def reshape(tracer: ChannelTracer, call: Call) -> None:
    """Dimensions are merged and taken apart."""
    before: Tensor = call.tensors[0]
    axes, result = tracer.axes(before), []
    old, new = _dims(before), _dims(call.result)
    made: dict[int, Labels] = {}
    while old and new:
        ins, outs = [old.pop(0)], [new.pop(0)]
        while _product(ins) != _product(outs):
            smaller, rest = (ins, old) if _product(ins) < _product(outs) else (outs, new)
            smaller.append(rest.pop(0))
        made |= _block(tracer, [axes[dim] for dim, _ in ins], ins, outs)
    result = [made.get(dim) for dim in range(call.result.ndim)]
    tracer.set(call.result, result)


def _dims(tensor: Tensor) -> list[tuple[int, int]]:
    """Dimensions of more than one index, and their sizes."""
    return [(dim, size) for dim, size in enumerate(tensor.shape) if size > 1]


def _product(dims: Sequence[tuple[int, int]]) -> int:
    return math.prod(size for _, size in dims)


def _block(
    tracer: ChannelTracer, axes: list[Labels], ins: list[Any], outs: list[Any]
) -> dict[int, Labels]:
    """Labels of dimensions that are made of others, with as many indices in all."""
    labelled = [index for index, labels in enumerate(axes) if labels is not None]
    if not labelled:
        return {}
    if len(labelled) > 1:
        for labels in axes:
            tracer.fix(labels, "is merged with other channels")
        return {}
    # Merged: a label for each index of all old dimensions; then one of the new ones keeps it.
    shape = [size for _, size in ins]
    position = np.indices(shape)[labelled[0]].ravel()
    labels = axes[labelled[0]]
    assert labels is not None
    flat = labels[position]
    dim, size = max(outs, key=lambda out: out[1])
    if len(outs) == 1:
        return {dim: flat}
    place = [d for d, _ in outs].index(dim)
    own = np.indices([s for _, s in outs])[place].ravel()
    made = tracer.new(size)
    tracer.match(made[own], flat)
    return {dim: made}
