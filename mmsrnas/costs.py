"""What a network costs: parameters, Multi-Adds, or milliseconds on a target."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmsrnas.latency import OperatorTable, Target, default_table_path, parse_target
from mmsrnas.latency.runtimes import Operator, list_operators
from mmsrnas.sizes import HR_SIZE, in_channels_of, lr_size_of, output_shape, upscale_factor_of

__all__ = [
    "COSTS",
    "BudgetError",
    "Cost",
    "absolute_budget",
    "build_cost",
    "count_multi_adds",
    "count_params",
    "positive_budget",
]

COSTS = ("multi_adds", "params", "latency")

InputSize = tuple[int, int, int]
T = TypeVar("T")


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
        self._made: dict[Hashable, Any] = {}
        self._listed: dict[Hashable, Sequence[Operator]] = {}
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
        return self.table.total(self._operators(network, input_size))

    def _operators(
        self, network: nn.Module, input_size: InputSize | None = None
    ) -> Sequence[Operator]:
        """What the runtime makes of a network; the table has all of it."""
        operators = list_operators(network, self.target, input_size)
        # A search is the same whether its table is there already or not.
        gpus = [torch.cuda.current_device()] if self.target.device == "cuda" else []
        with torch.random.fork_rng(gpus):
            missing = self.table.measure(operators)
        if missing:
            self.table.save(self.path)
        return operators

    def of(self, key: Hashable, build: Callable[[], nn.Module]) -> float:
        """The cost of a network that is asked for again, also when its table was calibrated.

        Args:
            key: Says which network; each is built, and exported for its operators, once.
            build: Makes it.
        """
        if self.type != "latency":
            return self.once(("of", key), lambda: self(build()))
        if key not in self._listed:
            found = self._operators(build())
            self._listed[key] = [replace(op, spec=None) for op in found]  # without its weights
        return self.table.total(self._listed[key])

    def once(self, key: Hashable, build: Callable[[], T]) -> T:
        """What ``build`` makes of this cost, made once for every key and calibration."""
        scales = tuple(self.table.scales.values()) if self.type == "latency" else ()
        if (key, scales) not in self._made:
            with torch.random.fork_rng(devices=[]):  # the weights of parts are nobody's business
                self._made[key, scales] = build()
        return self._made[key, scales]

    def image_size(self, network: nn.Module) -> InputSize:
        """``(C, H, W)`` of the image that a network is judged with."""
        channels = in_channels_of(network)
        if self.type == "latency":
            return channels, *self.target.input_size
        return channels, *lr_size_of(self.hr_size, upscale_factor_of(network))


def build_cost(cost: "Cost | Mapping[str, Any] | str | None") -> Cost:
    """A cost from its config: ``'params'``, ``dict(type='latency', target=...)``, or the value.

    Raises:
        ValueError: The config is no cost.
    """
    if isinstance(cost, Cost):
        return cost
    if not isinstance(cost, str | Mapping | None):
        raise ValueError(
            f"cost: expected {', '.join(map(repr, COSTS[:2]))} or dict(type='latency', target=...)"
            f", got {cost!r}."
        )
    arguments: dict[str, Any] = {"type": cost} if isinstance(cost, str) else dict(cost or {})
    try:
        return Cost(**arguments)
    except TypeError:
        raise ValueError(
            f"cost: expected the keys type, target, table and hr_size, got {arguments}."
        ) from None


class BudgetError(ValueError):
    """A budget that no network keeps.

    Args:
        budget: The budget.
        least: What the cheapest network costs.
        unit: What both are.
        cheapest: Which network that is.
    """

    def __init__(self, budget: float, least: float, unit: str, cheapest: str) -> None:
        super().__init__(
            f"budget: {budget:,.6g} {unit} are out of reach; {cheapest} costs {least:,.6g}, which "
            "is the least possible."
        )
        self.least = least


def absolute_budget(
    budget: float | None, budget_share: float | None, unit: str, most: Callable[[], float]
) -> float | None:
    """A budget as the two keys of a supernet's config say it.

    Args:
        budget: The most that a network may cost, absolute.
        budget_share: In its place, a share of the dearest network of the space.
        unit: Unit of the cost.
        most: What the dearest network costs, asked for only where there is a share.

    Returns:
        The budget in absolute units, None where there is none.

    Raises:
        ValueError: Both are given, or one is out of its range.
    """
    if budget is not None and budget_share is not None:
        raise ValueError(
            f"budget, budget_share: expected one of them, a number of {unit} or a share of the "
            f"dearest network; got {budget!r} and {budget_share!r}."
        )
    if budget_share is not None:
        if not _is_number(budget_share) or not 0 < budget_share <= 1:
            raise ValueError(f"budget_share: expected a share in (0, 1], got {budget_share!r}.")
        return budget_share * most()
    return None if budget is None else positive_budget(budget, unit)


def positive_budget(budget: float, unit: str) -> float:
    """A budget that is a positive number.

    Raises:
        ValueError: It is not.
    """
    if not _is_number(budget) or not 0 < budget < math.inf:
        raise ValueError(f"budget: expected a positive number of {unit}, got {budget!r}.")
    return float(budget)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
