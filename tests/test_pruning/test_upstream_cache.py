import mmagic.models  # noqa: F401
import pytest
import torch
from torch import nn

from mmsrnas.pruning import find_sites
from mmsrnas.pruning.upstream_cache import UpstreamCache
from mmsrnas.registry import MODELS

NETS = [
    dict(type="mmsrnas.DRNNet", upscale_factor=4, num_blocks=3, mid_channels=4),
    dict(type="EDSRNet", in_channels=3, out_channels=3, mid_channels=4, num_blocks=4),
    dict(type="MSRResNet", in_channels=3, out_channels=3, mid_channels=4, num_blocks=4),
]


class Calls:
    """Counts how often each convolution computes."""

    def __init__(self, monkeypatch):
        self.count = 0
        compute = nn.Conv2d.forward

        def forward(conv, x):
            self.count += 1
            return compute(conv, x)

        monkeypatch.setattr(nn.Conv2d, "forward", forward)

    def of(self, function):
        self.count = 0
        result = function()
        return result, self.count


@pytest.mark.parametrize("cfg", NETS, ids=lambda cfg: cfg["type"])
def test_outputs_and_gradients_are_the_same_and_upstream_does_not_compute(cfg, monkeypatch):
    torch.manual_seed(0)
    net = MODELS.build(cfg).double().eval().requires_grad_(False)
    calls = Calls(monkeypatch)
    batches = [torch.rand(1, 3, 8, 10, dtype=torch.double) for _ in range(2)]
    for site in find_sites(net):
        weight = net.get_submodule(site.consumer).weight.requires_grad_()
        cache = UpstreamCache(net, site.consumer)
        counts = []
        for _ in range(4):
            for index, batch in enumerate(batches):
                expected, full = calls.of(lambda batch=batch: net(batch))
                (gradient,) = torch.autograd.grad(expected.square().sum(), weight)
                with cache.batch(index):
                    ours, count = calls.of(lambda batch=batch: net(batch))
                (our_gradient,) = torch.autograd.grad(ours.square().sum(), weight)
                torch.testing.assert_close(ours, expected, rtol=0, atol=0)
                torch.testing.assert_close(our_gradient, gradient, rtol=1e-12, atol=1e-12)
                counts.append(count)
            weight.data.mul_(1.1)
        # The first batch is used for planning; from the third pass on everything comes from memory.
        names = [name for name, m in net.named_modules() if isinstance(m, nn.Conv2d)]
        assert counts[-2:] == [counts[-1]] * 2
        assert counts[-1] <= full - names.index(site.consumer) + sum("tails" in n for n in names)
        weight.requires_grad_(False)
    assert not any("forward" in vars(module) for module in net.modules())


def test_modules_are_restored_after_an_error():
    net = MODELS.build(NETS[1]).eval()
    cache = UpstreamCache(net, "body.2.conv2")
    x = torch.rand(1, 3, 8, 8)
    for _ in range(2):
        with cache.batch(0):
            net(x)
    with pytest.raises(RuntimeError, match="stop"), cache.batch(0):
        raise RuntimeError("stop")
    assert not any("forward" in vars(module) for module in net.modules())
    torch.testing.assert_close(net(x), net(x))
