"""Targets: what the command line means, and what is refused."""

import pytest

from mmsrnas.latency import Target, parse_target
from mmsrnas.latency import targets as module


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, Target()),
        ("onnxruntime:cpu:1", Target("onnxruntime", "cpu", 1)),
        ("torch:cpu:2:bf16:contiguous:90x160",
         Target("torch", "cpu", 2, "bf16", "contiguous", (90, 160))),
        ("2:torch", Target("torch", threads=2)),
    ],
)  # fmt: skip
def test_text(text, expected):
    assert parse_target(text) == expected
    assert parse_target(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tensorrt:cpu", "'tensorrt' is no runtime"),
        ("torch:onnxruntime", "two values for runtime"),
        ("onnxruntime:bf16", "in fp32 here"),
        ("torch:0", "at least 1"),
        ("torch:0x160", "at least 1"),
    ],
)
def test_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_target(text)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(module.RUNTIMES, "openvino", "no-such-package")
    with pytest.raises(ModuleNotFoundError, match="pip install no-such-package"):
        parse_target("openvino")


def test_missing_gpu_is_named(monkeypatch):
    monkeypatch.setattr(module.torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match=r"target\.device.*no GPU"):
        parse_target("torch:cuda")


def test_fingerprint_names_what_a_time_depends_on():
    fingerprint = parse_target("torch:cpu:1:90x160").fingerprint()
    assert fingerprint["input_size"] == [90, 160]
    assert fingerprint["processor"]
    assert fingerprint["version"]
    assert fingerprint != parse_target("torch:cpu:2:90x160").fingerprint()
