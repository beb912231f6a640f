import pytest
import torch

from mmsrnas.models import SpandrelNet

pytest.importorskip("spandrel")


def test_compact_is_that_of_real_esrgan_and_span_runs_folded():
    """Parameters of realesr-general-x4v3 and realesr-animevideov3, whose widths are published."""
    for depth, params in ((32, 1_213_296), (16, 621_424)):
        net = SpandrelNet("Compact", num_feat=64, num_conv=depth, upscale=4)
        assert sum(param.numel() for param in net.parameters()) == params
    span = SpandrelNet("SPAN", num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2)
    assert span(torch.rand(1, 3, 8, 9)).shape == (1, 3, 16, 18)
    assert not any(hasattr(module, "update_params") for module in span.modules())


def test_wrong_names_are_told():
    with pytest.raises(ValueError, match=r"expected one of Compact, DnCNN, .*got 'Compakt'"):
        SpandrelNet("Compakt")
    with pytest.raises(ValueError, match=r"SpandrelNet, Compact: .*'depth'"):
        SpandrelNet("Compact", depth=3)
