"""Uniform width for a budget."""

import pytest
from torch import nn

from mmsrnas.analysis.scaling import scale_to_budget
from mmsrnas.costs import Cost
from mmsrnas.models import DLSRNet


def test_widest_network_within_the_budget():
    found = scale_to_budget(
        lambda width: DLSRNet("DLSR", upscale_factor=2, mid_channels=width),
        Cost("params"), 100_000, step=4, max_width=64,
    )  # fmt: skip
    wider = DLSRNet("DLSR", upscale_factor=2, mid_channels=found.width + 4)
    assert found.cost <= 100_000 < Cost("params")(wider)
    assert Cost("params")(found.network) == found.cost


class _Steps:
    """Odd widths take half as long again, as widths that do not fill vectors do."""

    unit = "ms"

    def __call__(self, network: nn.Module) -> float:
        width = network.out_channels
        return width * (1.5 if width % 4 else 1.0)


def test_cost_that_jumps():
    found = scale_to_budget(lambda width: nn.Conv2d(3, width, 3), _Steps(), 20, max_width=64)
    assert found.width == 20


@pytest.mark.parametrize(
    ("budget", "message"),
    [(10, r"10 ms are out of reach; the narrowest network, 8 channels, costs 12"), (0, "positive"),
     (-1, "positive"), (float("nan"), "positive")],
)  # fmt: skip
def test_refused(budget, message):
    class Cost:
        unit = "ms"

        def __call__(self, network):
            return 1.5 * network.out_channels

    with pytest.raises(ValueError, match=message):
        scale_to_budget(lambda width: nn.Conv2d(3, width, 3), Cost(), budget, step=8)
