"""Operator tables: sums, calibration, files, refusals."""

import json

import numpy as np
import pytest
from torch import nn

from mmsrnas.latency import OperatorTable, measurement, parse_target
from mmsrnas.latency.runtimes import list_operators
from mmsrnas.models import DLSRNet

TARGETS = [parse_target(f"{runtime}:cpu:1:24x32") for runtime in ("torch", "onnxruntime")]


@pytest.fixture(params=TARGETS, ids=str)
def target(request):
    return request.param


def chain(*widths, kernel=3):
    layers = []
    for a, b in zip((3, *widths), (*widths, 3), strict=True):
        layers += [nn.Conv2d(a, b, kernel, padding=kernel // 2), nn.ReLU()]
    return nn.Sequential(*layers)


def synthetic(target, networks):
    """A table in which the n-th operator takes n milliseconds."""
    keys = dict.fromkeys(op.key for net in networks for op in list_operators(net, target))
    return OperatorTable(target, {key: float(i + 1) for i, key in enumerate(keys)})


def test_prediction_is_the_sum_over_the_operators(target):
    net = chain(8, 8)
    table = synthetic(target, [net])
    expected = sum(table.times[op.key] for op in list_operators(net, target))
    assert table.predict(net) == pytest.approx(expected)
    table.scales = dict.fromkeys(table.scales, 2.0)
    calls = len(list_operators(net, target))
    assert table.predict(net) == pytest.approx(2 * expected + 2 * calls)


def test_equal_operators_are_measured_once(target):
    operators = list_operators(chain(8, 8, 8, 8), target)
    convs = [op.key for op in operators if op.kind == "conv"]
    assert len(convs) == 5
    # 3 -> 8, 8 -> 8 three times, 8 -> 3; the blocks of onnxruntime make 3 outputs as dear as 8.
    assert len(set(convs)) == (3 if target.runtime == "torch" else 2)


def test_kinds(target):
    net = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 3), nn.PixelShuffle(2)
    )
    kinds = [op.kind for op in list_operators(net, target)]
    assert [kind for kind in kinds if kind != "memory"] == ["pointwise", "depthwise", "conv"]
    assert "memory" in kinds


def test_shape_of_the_input_counts(target):
    table = OperatorTable(target)
    net = nn.Conv2d(8, 8, 3)
    small, large = (list_operators(net, target, (8, size, size))[-1].key for size in (16, 32))
    assert small != large
    assert table.measure_missing(net, (8, 16, 16)) > 0
    assert table.measure_missing(net, (8, 16, 16)) == 0
    assert table.predict(net, (8, 16, 16)) > 0


def test_a_whole_network_of_ours(target, monkeypatch):
    monkeypatch.setattr(measurement, "MIN_SECONDS", 0.0)
    net = DLSRNet("DLSR_TINY", upscale_factor=2, mid_channels=4)
    table = OperatorTable(target)
    table.measure_missing(net)
    assert 0 < table.predict(net) < 1e4
    rows = table.breakdown(net)
    assert rows == sorted(rows, key=lambda row: -row[2])
    assert sum(row[2] for row in rows) == pytest.approx(table.predict(net))


def test_missing_operator_is_named(target):
    with pytest.raises(LookupError, match=r"has no operator '.*[Cc]onv.*measure_missing"):
        OperatorTable(target).predict(nn.Conv2d(3, 8, 3))


def test_calibration_finds_the_scales():
    target = TARGETS[0]
    rng = np.random.default_rng(0)
    networks = {
        str(i): nn.Sequential(
            chain(*rng.integers(4, 64, 3)),
            chain(*rng.integers(4, 64, 3), kernel=1),
            *[nn.Conv2d(3, 3, 5, padding=2, groups=3)] * int(rng.integers(1, 9)),
        )
        for i in range(12)
    }
    table = synthetic(target, networks.values())
    uncalibrated = table.scales
    table.scales = {"conv": 0.8, "depthwise": 1.5, "pointwise": 1.2, "memory": 0.6, "calls": 0.5}
    measured = {name: table.predict(net) for name, net in networks.items()}
    table.scales = uncalibrated
    listed = {name: list_operators(net, target) for name, net in networks.items()}
    table.calibrate(listed, measured)
    found = [table.predict(net) for net in networks.values()]
    np.testing.assert_allclose(found, list(measured.values()), rtol=0.05)


def test_file(tmp_path, target):
    table = synthetic(target, [chain(8)])
    table.scales["conv"] = 0.75
    table.save(tmp_path / "new" / "table.json")
    assert OperatorTable.load(tmp_path / "new" / "table.json", target) == table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["fingerprint"].update(processor="other"), "another target: processor"),
        (lambda data: data["fingerprint"].update(threads=7), "another target: threads"),
        (lambda data: data.pop("times"), "is no latency table"),
        (lambda data: data["times"].update(x="slow"), "is no latency table"),
        (lambda data: data["times"].update(x=-1), "at least 0"),
        (lambda data: data["scales"].update(conv=float("nan")), "finite"),
    ],
)
def test_refused_file(tmp_path, change, message):
    path = tmp_path / "table.json"
    synthetic(TARGETS[0], [chain(8)]).save(path)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=message):
        OperatorTable.load(path, TARGETS[0])


def test_table_of_another_machine_if_told(tmp_path):
    path = tmp_path / "table.json"
    table = synthetic(TARGETS[0], [chain(8)])
    table.fingerprint["processor"] = "other"
    table.save(path)
    assert OperatorTable.load(path, TARGETS[0], other_target=True).times == table.times


def test_absent_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        OperatorTable.load(tmp_path / "none.json", TARGETS[0])


def test_runtime_that_tells_no_operators():
    with pytest.raises(ValueError, match="measured, not predicted"):
        list_operators(chain(8), parse_target("torch.compile:16x16"))
