"""What a network costs: parameters, Multi-Adds, or milliseconds on a target."""

from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmsrnas.latency import OperatorTable, Target, default_table_path, parse_target
from mmsrnas.sizes import HR_SIZE, in_channels_of, lr_size_of, output_shape, upscale_factor_of

__all__ = ["COSTS", "Cost", "build_cost", "count_multi_adds", "count_params"]

COSTS = ("multi_adds", "params", "latency")

InputSize = tuple[int, int, int]


def count_params(network: nn.Module) -> int:
    """Number of parameters."""
    return sum(param.numel() for param in network.parameters())


def count_multi_adds(network: nn.Module, input_size: InputSize) -> int:
    """Multiply-accumulates of convolutions and matrix products for an input ``(C, H, W)``."""
    counter = FlopCounterMode(display=False)
    with counter:
        output_shape(network, input_size)
    return counter.get_total_flops() // 2


class Cost:
    """The cost of networks, and of their parts, in one unit.

    ``Cost("latency", target="onnxruntime:cpu:1")(network)`` is the predicted number of
    milliseconds. Operators that the table of the target lacks are measured on the spot, and the
    table is kept for the next time.

    Args:
        type: ``'multi_adds'``, ``'params'`` or ``'latency'``.
        target: Target of the latency, see :func:`~mmsrnas.latency.parse_target`.
        table: File of the operator table; one in the user's cache folder if None.
        hr_size: ``(height, width)`` of the output for which Multi-Adds count.

    Attributes:
        unit: What the numbers are, for messages.

    Raises:
        ValueError: Unknown type, a target where none has a meaning, or a table of another target.
    """

    def __init__(
        self,
        type: str = "multi_adds",
        target: str | Target | None = None,
        table: str | Path | None = None,
        hr_size: tuple[int, int] = HR_SIZE,
    ) -> None:
        if type not in COSTS:
            raise ValueError(f"cost.type: expected one of {', '.join(COSTS)}, got {type!r}.")
        if type != "latency" and (target is not None or table is not None):
            raise ValueError(f"cost: 'target' and 'table' are of type='latency', not of {type!r}.")
        self.type = type
        self.hr_size = hr_size
        self.unit = {"multi_adds": "Multi-Adds", "params": "parameters"}.get(type, "")
        if type == "latency":
            self.target = parse_target(target)
            self.unit = f"ms on {self.target}"
            self.path = Path(table) if table else default_table_path(self.target)
            known = table or self.path.is_file()
            self.table = (
                OperatorTable.load(self.path, self.target) if known else OperatorTable(self.target)
            )

    def __call__(self, network: nn.Module, input_size: InputSize | None = None) -> float:
        """The cost of a network, or of a part of one.

        Args:
            network: The network.
            input_size: ``(C, H, W)`` of its input; if None, an image of the target's size for
                latency, and the LR image of ``hr_size`` for Multi-Adds.
        """
        if self.type == "params":
            return float(count_params(network))
        if self.type == "multi_adds":
            return float(count_multi_adds(network, input_size or self.image_size(network)))
        if self.table.measure_missing(network, input_size):
            self.table.save(self.path)
        return self.table.predict(network, input_size)

    def image_size(self, network: nn.Module) -> InputSize:
        """``(C, H, W)`` of the image that a network is judged with."""
        channels = in_channels_of(network)
        if self.type == "latency":
            return channels, *self.target.input_size
        return channels, *lr_size_of(self.hr_size, upscale_factor_of(network))


def build_cost(cost: "Cost | dict | str | None") -> Cost:
    """A cost from its config: ``'params'``, ``dict(type='latency', target=...)``, or the value."""
    if isinstance(cost, Cost):
        return cost
    arguments: dict[str, Any] = {"type": cost} if isinstance(cost, str) else cost or {}
    return Cost(**arguments)
