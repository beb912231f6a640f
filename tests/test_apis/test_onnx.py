import onnx
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmsrnas.apis import export_onnx, init_generator
from mmsrnas.apis.onnx import onnx_difference
from mmsrnas.models.dlsr import DLSRNet

SHAPES = [(1, 3, 48, 40), (2, 3, 15, 31), (1, 3, 37, 64)]
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


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_exported_network_takes_any_size_and_gives_the_same(tmp_path, scale):
    network = DLSRNet("DLSR_TINY", upscale_factor=scale).eval()
    export_onnx(network, tmp_path / "net.onnx")
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    assert onnx_difference(network, tmp_path / "net.onnx", SHAPES) <= 1e-5


def test_difference_is_found(tmp_path):
    network = DLSRNet("DLSR_TINY").eval()
    export_onnx(network, tmp_path / "net.onnx")
    with torch.no_grad():
        network.upsample[0].bias[0] += 2.55  # 0.01 in the values of the output
    assert onnx_difference(network, tmp_path / "net.onnx", SHAPES[:1]) == pytest.approx(
        0.01, rel=1e-3
    )


def test_a_network_of_mmagic_is_exported_too(tmp_path):
    init_default_scope("mmagic")
    network = init_generator(Config({"model": {"generator": EDSR}}))
    export_onnx(network, tmp_path / "edsr.onnx")
    assert onnx_difference(network, tmp_path / "edsr.onnx", SHAPES) <= 1e-5
