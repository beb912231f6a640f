"""A checkpoint runs in the fastest runtime, and only where that gives what torch gives."""

import numpy as np
import pytest
import torch
from networks import Local

from mmsrnas.apis.inference import Restorer, load_model, restorer, runtimes

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Folder of the ONNX files; one runtime, whatever is installed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(runtimes, "FASTEST", ("onnxruntime",))
    return tmp_path / "cache/mmsrnas/networks"


@pytest.fixture
def local():
    torch.manual_seed(0)
    return load_model(Local())


def test_a_checkpoint_runs_in_the_fastest_runtime(tiny, cache, monkeypatch):
    path, network = tiny
    fast = Restorer(path, device="cpu")
    assert str(fast.model) == "onnxruntime"
    (file,) = cache.iterdir()
    plain = Restorer(path, runtime="torch", precision="fp32", device="cpu")
    assert str(plain.model) == "torch"
    difference = np.abs(fast(IMAGE).astype(int) - plain(IMAGE))
    assert difference.max() <= 1 and difference.mean() < 1e-3
    assert Restorer(network).model.runtime == "torch"  # its weights may change
    monkeypatch.setattr(runtimes, "export_onnx", None)  # the file is there already
    assert np.array_equal(Restorer(path, device="cpu")(IMAGE), fast(IMAGE))
    assert list(cache.iterdir()) == [file]


def test_a_file_of_another_network_is_made_again(local, cache):
    runtimes.in_runtime(local, "onnxruntime")
    (file,) = cache.iterdir()
    runtimes.export_onnx(Local(), file)
    image = torch.rand(1, 3, 9, 11)
    found = runtimes.in_runtime(local, "onnxruntime").run(image)
    torch.testing.assert_close(found, local.network(image).detach())


@pytest.mark.cpu
def test_what_differs_from_torch_is_not_used(local, monkeypatch, cache):
    monkeypatch.setattr(runtimes, "_difference", lambda *_: 1e-3)
    found = runtimes.faster(local)
    assert found.runtime == "torch" and found.run is local.run
    assert str(found) == "torch (onnxruntime differs from torch by 1.0e-03)"
    with pytest.raises(ValueError, match="differs from torch by"):
        Restorer(local.network, runtime="onnxruntime")
    assert not list(cache.iterdir())


def test_a_named_runtime_runs_in_float32_whatever_the_hardware_has(local, monkeypatch):
    monkeypatch.setattr(restorer, "_computes_in", lambda *_: True)
    found = Restorer(local.network, runtime="onnxruntime")
    assert found.dtype == torch.float32 and found.model.runtime == "onnxruntime"
    with pytest.raises(ValueError, match="runs in float32 on the CPU alone"):
        Restorer(local.network, runtime="onnxruntime", precision="bf16")


def test_what_cannot_be_exported_or_is_not_installed_stays_in_torch(monkeypatch):
    class Odd(Local):
        def forward(self, x):
            return torch.fft.ifft2(torch.fft.fft2(super().forward(x))).real

    monkeypatch.setattr(runtimes, "FASTEST", ("no_such_runtime", "onnxruntime"))
    found = runtimes.faster(load_model(Odd()))
    assert found.runtime == "torch"
    assert found.note.startswith("no_such_runtime is not installed; onnxruntime: ")


def test_the_oldest_files_go(local, monkeypatch, cache):
    monkeypatch.setattr(runtimes, "KEPT_FILES", 1)
    cache.mkdir(parents=True)
    (cache / "old.onnx").write_bytes(b"")
    runtimes.in_runtime(local, "onnxruntime")
    assert len(list(cache.iterdir())) == 1 and not (cache / "old.onnx").exists()


def test_runtimes_that_have_no_meaning(local, tmp_path):
    with pytest.raises(ValueError, match="runtime: expected one of auto, torch"):
        Restorer(local.network, runtime="tensorrt")
    with pytest.raises(ValueError, match="runs in float32 on the CPU alone"):
        Restorer(local.network, precision="bf16", runtime="onnxruntime")
    runtimes.export_onnx(local.network, tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"net\.onnx' is a file of onnxruntime"):
        Restorer(tmp_path / "net.onnx", runtime="torch")


def test_openvino_compiles_for_the_size_of_a_large_image(local, cache, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(runtimes, "LARGE", 40 * 40)
    found = runtimes.in_runtime(local, "openvino")
    for size in ((30, 40), (40, 40), (41, 47), (40, 40)):
        image = torch.rand(1, 3, *size)
        assert torch.allclose(found.run(image), local.run(image), atol=1e-5)
    found.release()
    assert torch.allclose(found.run(image), local.run(image), atol=1e-5)
