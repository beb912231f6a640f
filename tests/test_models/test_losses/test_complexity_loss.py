"""The complexity term of DLSR, with the gradient that the released code lacks."""

import pytest
import torch

from mmsrnas.models import ComplexityLoss, DLSRSupernet


def test_without_budget():
    cost = torch.tensor(3.0, requires_grad=True)
    loss = ComplexityLoss(loss_weight=0.5)(cost)
    loss.backward()
    assert loss.item() == 1.5
    assert cost.grad.item() == 0.5


@pytest.mark.parametrize(("value", "loss", "grad"), [(3.0, 0.25, 0.25), (1.5, 0.0, 0.0)])
def test_budget_limits_the_relative_excess(value, loss, grad):
    cost = torch.tensor(value, requires_grad=True)
    found = ComplexityLoss(loss_weight=0.5)(cost, budget=2.0)
    found.backward()
    assert found.item() == loss
    assert cost.grad.item() == grad


def test_gradient_of_dlsr():
    supernet = DLSRSupernet(mid_channels=4, num_cells=2, variant="official").double()
    loss = ComplexityLoss()(supernet.expected_cost(), supernet.reference_cost)
    loss.backward()
    share = supernet.alpha.softmax(1)
    costs = torch.tensor([2.5, 22.5, 62.5, 122.5, 5.9, 7.5, 9.9, 2.95, 3.75]).double() / 240
    expected = share * (costs - (share * costs).sum(1, keepdim=True))
    torch.testing.assert_close(supernet.alpha.grad, expected, rtol=1e-6, atol=1e-9)
    assert loss.item() == pytest.approx(1 / 3, abs=1e-3)  # alpha is nearly uniform
    assert supernet.alpha.grad[0, 3].item() == pytest.approx(0.044, abs=1e-3)


def test_reference_and_budget_of_the_supernet():
    cost = torch.tensor(30.0)
    assert ComplexityLoss(0.5)(cost, 20.0).item() == 0.75
    assert ComplexityLoss(0.5)(cost, 20.0, 24.0).item() == 0.125
    assert ComplexityLoss(0.5)(cost, 20.0, 31.0).item() == 0
