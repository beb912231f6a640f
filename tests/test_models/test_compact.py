"""The hand-made network that a search has to beat."""

import pytest
import torch

from mmsrnas.models import CompactNet


def test_it_is_the_published_one():
    compact = pytest.importorskip("spandrel.architectures.Compact.__arch.SRVGG")
    kwargs = dict(num_in_ch=3, num_out_ch=3, num_feat=8, num_conv=2, upscale=2)
    published = compact.SRVGGNetCompact(**kwargs)
    network = CompactNet(2, 3, 8, 2)
    network.load_state_dict(published.state_dict())
    image = torch.rand(1, 3, 9, 7)
    torch.testing.assert_close(network(image), published(image))


@pytest.mark.parametrize(("scale", "anchor"), [(1, "nearest"), (1, "linear"), (3, "linear")])
def test_it_starts_as_its_interpolation(scale, anchor):
    network = CompactNet(scale, 1, 4, 1, anchor)
    torch.nn.init.zeros_(network.body[-1].weight)
    torch.nn.init.zeros_(network.body[-1].bias)
    out = network(torch.full((1, 1, 5, 6), 0.25))
    assert out.shape == (1, 1, 5 * scale, 6 * scale)
    torch.testing.assert_close(out, torch.full_like(out, 0.25))
