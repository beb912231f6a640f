import json

import pytest
import torch

from mmsrnas.engine import CosinePolyLR


def rates(iters_per_epoch, epochs, **kwargs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.025)
    scheduler = CosinePolyLR(optimizer, iters_per_epoch, by_epoch=False, **kwargs)
    values = []
    for _ in range(iters_per_epoch * epochs):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def test_equals_the_original_in_every_epoch(refs):
    expected = json.loads((refs / "hinas/index.json").read_text())["lr_search_epochs_1_to_100"]
    values = rates(3, 100)
    assert values[::3] == pytest.approx(expected, rel=1e-9)
    assert values[::3] == values[1::3] == values[2::3]


def test_formula():
    values = rates(1, 100)
    assert values[0] == pytest.approx(0.02420, abs=5e-6)
    assert values[4] == pytest.approx(0.01246, abs=5e-6)
    assert values[9] == values[99] == pytest.approx(0.001)


def test_resumes_and_stays_at_the_end():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.025)
    scheduler = CosinePolyLR(optimizer, 2, num_epochs=4, by_epoch=False)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    state = scheduler.state_dict()
    other = CosinePolyLR(
        torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.025), 2, by_epoch=False
    )
    other.load_state_dict(state)
    optimizer.step()
    scheduler.step()
    other.optimizer.step()
    other.step()
    assert other.get_last_value() == scheduler.get_last_value()
    for _ in range(20):
        optimizer.step()
        scheduler.step()
    assert scheduler.get_last_value() == [pytest.approx(0.001)]
