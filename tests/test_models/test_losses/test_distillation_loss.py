"""The teacher is only read; the student learns."""

import pytest
import torch
from torch import nn

from mmsrnas.models.losses import DistillationLoss


class Net(nn.Module):
    """A network with a normalisation, which a training mode would change."""

    img_range = 4.0
    upscale_factor = 1

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        self.last = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.last(self.norm(self.conv(x)))


@pytest.fixture
def loss(request):
    torch.manual_seed(0)
    return DistillationLoss(dict(type=Net), loss_weight=0.5, layer=request.param)


@pytest.mark.parametrize("loss", [None, "last"], indirect=True)
def test_gradients_reach_the_student_and_never_the_teacher(loss):
    student, lr = Net(), torch.rand(2, 3, 8, 8)
    loss.watch(student)
    loss.train()
    before = {key: value.clone() for key, value in loss.teacher.state_dict().items()}
    loss(lr, student(lr)).backward()
    assert not any(p.requires_grad or p.grad is not None for p in loss.teacher.parameters())
    assert not any(module.training for module in loss.teacher.modules())
    assert all(torch.equal(v, before[k]) for k, v in loss.teacher.state_dict().items())
    assert student.conv.weight.grad.abs().sum() > 0
    # The last convolution is behind what the layer reads.
    assert (student.last.weight.grad is None) == (loss.layer == "last")


@pytest.mark.parametrize("loss", [None], indirect=True)
def test_gradients_do_not_pass_the_teacher_to_the_input(loss):
    lr = torch.rand(1, 3, 8, 8, requires_grad=True)
    sr = torch.zeros(1, 3, 8, 8, requires_grad=True)
    loss.watch(Net())
    loss(lr, sr).backward()
    assert lr.grad is None
    assert sr.grad.abs().sum() > 0


@pytest.mark.parametrize("loss", [None, "last"], indirect=True)
def test_value(loss):
    student, lr = Net().eval(), torch.rand(2, 3, 8, 8)
    loss.watch(student)
    with torch.no_grad():
        sr, target = student(lr), loss.teacher(lr)
        if loss.layer:
            ours, its = (net.norm(net.conv(lr)).mean(dim=1) for net in (student, loss.teacher))
            expected = 0.5 / 4 * (ours - its).square().mean()
        else:
            expected = 0.5 * (sr - target).abs().mean()
        torch.testing.assert_close(loss(lr, student(lr)), expected)


def test_features_are_compared_by_where_they_are_strong():
    """Squared distance of the maps of mean squares of both networks, each of length 1."""
    torch.manual_seed(0)
    loss = DistillationLoss(dict(type=Net), features=("conv", "norm"), feature_weight=0.5)
    student, lr = Net().eval(), torch.rand(2, 3, 8, 6)
    loss.watch(student)
    with torch.no_grad():
        sr = student(lr)
        expected = (sr - loss.teacher(lr)).abs().mean()
        for depth in (1, 2):
            maps = []
            for net in (student, loss.teacher):
                features = torch.nn.Sequential(*list(net.children())[:depth])(lr)
                strength = features.square().mean(dim=1)
                maps.append(strength / strength.square().sum(dim=(1, 2), keepdim=True).sqrt())
            distance = (maps[0] - maps[1]).square().sum(dim=(1, 2)).mean()
            expected += 0.5 / 2 * distance
        student(lr)
        torch.testing.assert_close(loss(lr, sr), expected)
