import pytest
import torch
from torch import nn

from mmsrnas.models.bn_calibration import estimate_statistics


@pytest.mark.parametrize("training", [True, False])
def test_mean_over_the_batches_and_nothing_else_changes(training):
    torch.manual_seed(0)
    net = nn.ModuleList([nn.BatchNorm2d(2, momentum=0.3), nn.BatchNorm2d(2)]).train(training)
    net[1].running_mean.fill_(5)
    batches = [torch.randn(3, 2, 4, 4) + shift for shift in range(4)]
    estimate_statistics(net, net[0], batches)
    means = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches])
    variances = torch.stack([batch.var(dim=(0, 2, 3)) for batch in batches])
    torch.testing.assert_close(net[0].running_mean, means.mean(0))
    torch.testing.assert_close(net[0].running_var, variances.mean(0))
    assert net[1].running_mean.eq(0).all()
    assert [norm.momentum for norm in net] == [0.3, 0.1]
    assert net.training == training


def test_a_failure_leaves_momentum_and_mode():
    net = nn.BatchNorm2d(2).eval()
    with pytest.raises(RuntimeError):
        estimate_statistics(net, net, [torch.rand(1, 3, 4, 4)])
    assert net.momentum == 0.1
    assert not net.training
