import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmsrnas.models import HFENLoss, SumLoss


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_equals_the_released_loss(refs, data_range):
    """Value and gradient, for both ranges of the images with the same weight."""
    dump = np.load(refs / "dlsr" / "dlsr_hfen_ref.npz")
    factor = data_range / 255
    pred = (torch.from_numpy(dump["output"]) * factor).requires_grad_()
    target = torch.from_numpy(dump["target"]) * factor
    loss = HFENLoss(1.0, data_range)(pred, target)
    assert loss.item() / factor == pytest.approx(float(dump["hfen"]), rel=3e-4)
    (gradient,) = torch.autograd.grad(loss, pred)
    reference = torch.from_numpy(dump["grad_hfen"])
    torch.testing.assert_close(gradient, reference, rtol=1e-3, atol=1e-8)
    total = F.l1_loss(pred, target) + HFENLoss(0.2, data_range)(pred, target)
    assert total.item() / factor == pytest.approx(float(dump["total"]), abs=1e-5)
    (gradient,) = torch.autograd.grad(total, pred)
    torch.testing.assert_close(gradient, torch.from_numpy(dump["grad_total"]), rtol=1e-3, atol=1e-8)


def test_flat_batch_gives_a_finite_gradient():
    pred = torch.full((2, 3, 16, 16), 0.5, requires_grad=True)
    HFENLoss()(pred, torch.rand(2, 3, 16, 16)).backward()
    assert pred.grad.isfinite().all()


def test_sum_loss_adds_its_parts():
    pred, target = torch.rand(2, 2, 3, 12, 12)
    loss = SumLoss([dict(type="mmsrnas.HFENLoss", loss_weight=w) for w in (0.2, 0.3)])
    torch.testing.assert_close(loss(pred, target), HFENLoss(0.5)(pred, target))


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_edges_are_normalised_by_their_maximum_down_to_a_millionth(data_range):
    """Edges below a millionth of the range are rounding errors: they stay what they are."""
    loss = HFENLoss(data_range=data_range)
    image = torch.zeros(1, 1, 16, 16, dtype=torch.double)
    image[..., 8:, :] = 1
    peak = _raw_peak(loss, image)
    above, below = (image * data_range * 1e-6 * factor / peak for factor in (1.5, 0.5))
    assert loss.edges(above).max().item() == pytest.approx(1)
    assert loss.edges(below).max().item() == pytest.approx(0.5e-6 * data_range)


def _raw_peak(loss, image):
    smooth = F.conv2d(image, loss.gauss.to(image.dtype))
    return F.conv2d(smooth, loss.laplace.to(image.dtype), padding=1).max().item()


def test_kernels_are_no_weights_and_smoothing_keeps_the_mean():
    assert not HFENLoss().state_dict()
    assert HFENLoss().gauss.sum().item() == pytest.approx(1)
