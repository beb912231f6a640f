"""Costs: the same numbers for a network wherever they are asked for."""

import pytest
from torch import nn

from mmsrnas.costs import Cost, build_cost
from mmsrnas.latency import OperatorTable, parse_target
from mmsrnas.models import DLSRNet


def test_params_and_multi_adds(capsys):
    net = DLSRNet("DLSR", upscale_factor=2)
    assert build_cost("params")(net) == 322_620
    assert build_cost("multi_adds")(net) == pytest.approx(67.31e9, rel=1e-4)
    assert Cost(hr_size=(72, 128))(net) == pytest.approx(67.31e7, rel=2e-3)
    assert not capsys.readouterr().out  # torch's counter would print a table


def test_a_part_of_a_network():
    conv = nn.Conv2d(8, 4, 3, padding=1, bias=False)
    assert Cost("multi_adds")(conv, (8, 10, 20)) == 8 * 4 * 9 * 200
    assert Cost("params")(conv) == 8 * 4 * 9


def test_latency_measures_once_and_keeps_the_table(tmp_path):
    path = tmp_path / "table.json"
    target = parse_target("torch:cpu:1:16x16")
    OperatorTable(target).save(path)
    net = nn.Conv2d(3, 8, 3)
    cost = build_cost(dict(type="latency", target="torch:cpu:1:16x16", table=path))
    milliseconds = cost(net)
    assert milliseconds > 0
    again = Cost("latency", target, path)
    assert again.table.times == cost.table.times
    assert again(net) == milliseconds
    assert "16x16" in again.unit
    # What is asked for by a key is listed once, also when a calibration changes its cost.
    built = []
    costs = [again.of("net", lambda: built.append(0) or net)]
    again.table.scales = {term: 2 * scale for term, scale in again.table.scales.items()}
    costs.append(again.of("net", lambda: built.append(0) or net))
    assert costs == [milliseconds, 2 * milliseconds] and len(built) == 1


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (dict(type="macs"), "expected one of multi_adds, params, latency"),
        (dict(type="params", target="torch"), "'target' and 'table' are of type='latency'"),
        (dict(type="latency", target="abacus"), "no runtime"),
    ],
)
def test_refused(cfg, message):
    with pytest.raises(ValueError, match=message):
        build_cost(cfg)
