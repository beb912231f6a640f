import math

import pytest
import torch
from skimage.metrics import structural_similarity

from mmsrnas.models import SSIMLoss
from mmsrnas.models.losses.ssim_loss import _log10


def test_equals_the_original(refs):
    dump = torch.load(refs / "hinas" / "losses.pt", weights_only=False)
    a, b, losses = dump["a"], dump["b"], dump["losses"]
    assert SSIMLoss()(a, b).item() == pytest.approx(losses["log_ssim"], abs=1e-6)
    assert SSIMLoss(mode="negative")(a, b).item() == pytest.approx(losses["neg_ssim"], abs=1e-6)
    assert SSIMLoss(0.3)(a, b).item() == pytest.approx(0.3 * losses["log_ssim"], abs=1e-6)


def test_equals_skimage_away_from_the_border():
    torch.manual_seed(0)
    a = torch.rand(1, 1, 40, 44, dtype=torch.double)
    b = (a + 0.1 * torch.randn_like(a)).clamp(0, 1)
    _, full = structural_similarity(
        a[0, 0].numpy(),
        b[0, 0].numpy(),
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    # The original pads with zeros, scikit-image mirrors: they agree away from the border.
    ours = SSIMLoss().similarity(a, b)[0, 0].numpy()
    assert abs(ours - full)[5:-5, 5:-5].max() < 1e-5
    assert abs(ours - full).max() > 1e-3


def test_gradient_and_bad_mode():
    x = torch.rand(1, 1, 12, 12, dtype=torch.double, requires_grad=True)
    target = torch.rand(1, 1, 12, 12, dtype=torch.double)
    assert torch.autograd.gradcheck(lambda p: SSIMLoss()(p, target), x)
    with pytest.raises(ValueError, match="mode of SSIMLoss"):
        SSIMLoss(mode="ms")


@pytest.mark.parametrize("contrast", [-1.0, -0.5])
def test_gradient_increases_the_ssim_where_the_logarithm_is_undefined(contrast):
    """The negative of an image has a negative SSIM."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(1, 1, 32, 32, generator=generator)
    pred = (target.mean() + contrast * (target - target.mean())).requires_grad_()
    loss = SSIMLoss()
    before = loss.similarity(pred, target).mean()
    assert before < 0
    (gradient,) = torch.autograd.grad(loss(pred, target), pred)
    assert gradient.isfinite().all()
    with torch.no_grad():
        step = pred - 0.01 * gradient / gradient.abs().max()
        assert loss.similarity(step, target).mean() > before
        assert loss(step, target) < loss(pred, target)


def test_continuation_of_the_logarithm_is_smooth():
    x = torch.tensor([0.0099999, 0.0100001], dtype=torch.double, requires_grad=True)
    value = _log10(x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    assert value.tolist() == pytest.approx([-2, -2], abs=1e-4)
    assert slope.tolist() == pytest.approx([100 / math.log(10)] * 2, rel=1e-4)
    assert _log10(torch.tensor(0.5)).item() == pytest.approx(math.log10(0.5))
    assert _log10(torch.tensor(-1.0)).item() == pytest.approx(-2 - 1.01 * 100 / math.log(10))


def test_kernels_are_no_weights():
    assert not SSIMLoss().state_dict()


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_black_images_are_alike(data_range):
    """The constants of Wang et al., without which dark images are divided by nothing."""
    loss, black = SSIMLoss(data_range=data_range), torch.zeros(1, 1, 12, 12)
    assert (loss.similarity(black, black) == 1).all()
    gray = black + 0.01 * data_range
    similarity = loss.similarity(black, gray)[0, 0, 5, 5].item()  # c1 / (mean^2 + c1)
    assert similarity == pytest.approx(0.5, rel=1e-4)
