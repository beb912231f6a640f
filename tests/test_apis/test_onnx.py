import onnx
import onnxruntime
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmsrnas.apis import export_onnx, init_generator
from mmsrnas.apis.onnx import OnnxError, check_onnx, export_checked_onnx
from mmsrnas.models import HiNASNet
from mmsrnas.models.dlsr import DLSRNet

EDSR = dict(
    type="EDSRNet",
    in_channels=3,
    out_channels=3,
    mid_channels=8,
    num_blocks=1,
    upscale_factor=2,
    res_scale=1,
    rgb_mean=[0.4, 0.4, 0.4],
    rgb_std=[1.0, 1.0, 1.0],
)


class Bicubic(nn.Module):
    """The part of a network with a bicubic path that float32 cannot place exactly."""

    def __init__(self, scale, shift=0.0):
        super().__init__()
        self.upscale_factor, self.in_channels, self.shift = scale, 3, shift
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return nn.functional.interpolate(
            x * self.weight + self.shift, scale_factor=self.upscale_factor, mode="bicubic"
        )


def test_exported_network_takes_any_size_and_gives_the_same(tmp_path):
    network = DLSRNet("DLSR_TINY", 3, mid_channels=8).eval()
    report = export_checked_onnx(network, tmp_path / "new/net.onnx")
    onnx.checker.check_model(str(tmp_path / "new/net.onnx"), full_check=True)
    assert report.file_error <= 1e-5
    assert (1, 3, 15, 15) in report.shapes and (2, 3, 33, 57) in report.shapes
    assert "1x3x96x128" in str(report)


def test_the_file_refuses_what_the_network_refuses(tmp_path):
    """14 x 14 pixels are too few for the attention of DLSR; the error names the size."""
    network = DLSRNet("DLSR_TINY", mid_channels=8).eval()
    export_onnx(network, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    for shape in ((1, 3, 14, 14), (1, 3, 14, 40), (2, 3, 40, 14)):
        image = torch.rand(shape)
        with pytest.raises(ValueError, match="at least 15 x 15"):
            network(image)
        with pytest.raises(Exception, match="images_must_have_at_least_15x15_pixels"):
            session.run(None, {"input": image.numpy()})
    session.run(None, {"input": torch.rand(2, 3, 15, 16).numpy()})


def test_a_file_that_accepts_small_images_is_found(tmp_path):
    network = DLSRNet("DLSR_TINY", mid_channels=8).eval()
    network.min_size = 1
    export_onnx(network, tmp_path / "net.onnx")
    network.min_size = 15
    with pytest.raises(OnnxError, match="accepts images of 14 x 15"):
        check_onnx(network, tmp_path / "net.onnx")


@pytest.mark.parametrize("scale", [2, 3])
def test_bicubic_paths_are_as_exact_in_the_file_as_in_the_network(tmp_path, scale):
    report = export_checked_onnx(Bicubic(scale), tmp_path / "net.onnx")
    assert report.file_error <= report.network_error + 1e-6
    # A fixed bound between the two would be wrong: the network errs by more than 1e-6 itself.
    assert (report.network_error > 1e-6) == (scale == 3)


@pytest.mark.parametrize("change", [0.01, 3e-5, torch.nan])
def test_difference_is_found_and_the_old_file_stays(tmp_path, monkeypatch, change):
    network, path = Bicubic(2), tmp_path / "net.onnx"
    export_checked_onnx(network, path)
    before = path.read_bytes()
    network.shift = change
    with pytest.raises(OnnxError, match="errs by more than 1"):
        check_onnx(network, path)
    monkeypatch.setattr(
        "mmsrnas.apis.onnx.export_onnx", lambda net, file, opset: file.write_bytes(before)
    )
    with pytest.raises(OnnxError):
        export_checked_onnx(network, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = Bicubic(2)
    network.weight.data.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="weight"):
        export_checked_onnx(network, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_gray_network(tmp_path):
    network = HiNASNet("HINAS_DENOISE", "denoise", 1, 1, 4)
    assert {shape[1] for shape in export_checked_onnx(network, tmp_path / "n.onnx").shapes} == {1}


def test_a_network_of_mmagic_is_exported_too(tmp_path):
    init_default_scope("mmagic")
    network = init_generator(Config({"model": {"generator": EDSR}}))
    assert export_checked_onnx(network, tmp_path / "edsr.onnx").file_error <= 1e-5
