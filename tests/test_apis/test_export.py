"""A trained network in the formats of other runtimes does what it does in torch."""

import json
import sys

import cv2
import numpy as np
import onnx
import pytest
import torch
from networks import Local

from mmsrnas.apis.export import ExportError, Photographs, export
from mmsrnas.apis.inference import Restorer
from mmsrnas.apis.inference.model import load_model, load_network
from mmsrnas.apis.inference.runtimes import CARD
from mmsrnas.checkpoint import CARD_KEY, CheckpointError, read_checkpoint
from mmsrnas.genotypes import ElasticGenotype
from mmsrnas.models import DLSRNet, DRNNet, ElasticNet, HiNASNet, HNASNet

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(2):
        coarse = rng.integers(0, 256, (12, 12, 3), np.uint8)
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(coarse, (72, 72), None, 0, 0, 2))
    return folder


@pytest.fixture
def dlsr():
    torch.manual_seed(0)
    return DLSRNet("DLSR_TINY", mid_channels=8).eval()


def test_onnx_file_carries_its_card(dlsr, tmp_path):
    report = export(dlsr, tmp_path / "new/net.onnx", timed=True)
    assert report.psnr_loss < 1e-3 and report.largest_error < 1e-4
    assert "times faster" in str(report) and json.dumps(report.to_dict())
    props = {p.key: p.value for p in onnx.load(tmp_path / "new/net.onnx").metadata_props}
    card = json.loads(props[CARD])
    assert card["genotype"] == dlsr.genotype.to_dict()
    assert (card["scale"], card["in_channels"], card["min_size"]) == (2, 3, 15)
    assert card["color_order"] == "RGB" and card["range"] == [0, 1]
    restorer = Restorer(tmp_path / "new/net.onnx", tile=96)
    assert restorer.halo.size == card["halo"] and not restorer.halo.is_exact
    assert restorer(IMAGE[:7]).shape == (14, 48, 3)  # padded to 15 pixels


@pytest.mark.parametrize("name", ["net.pth", "net.onnx"])
def test_branches_of_the_training_are_summed(tmp_path, name):
    """From the network, and from the checkpoint of its training."""
    torch.manual_seed(0)
    genotype = ElasticGenotype(("conv_3x3", "gate_3x3"), (4, 8))
    network = ElasticNet(genotype, reparameterized=True).eval()
    for param in network.parameters():
        torch.nn.init.normal_(param, std=0.02)
    state = {f"generator.{key}": value for key, value in network.state_dict().items()}
    generator = dict(type="mmsrnas.ElasticNet", genotype="gone.json", reparameterized=True)
    meta = {"cfg": f"model = dict(generator={generator})", "genotype": network.genotype.to_dict()}
    torch.save({"state_dict": state, "meta": meta}, tmp_path / "run.pth")
    image = torch.rand(1, 3, 9, 11)
    for model in (network, tmp_path / "run.pth"):
        export(model, tmp_path / name)
        with torch.no_grad():
            torch.testing.assert_close(load_model(tmp_path / name).run(image), network(image))


def test_half_precision(tmp_path):
    torch.manual_seed(0)
    network = Local().eval()
    report = export(network, tmp_path / "half.onnx", "fp16")
    assert 0 < report.psnr_loss <= 0.02
    weights = onnx.load(tmp_path / "half.onnx").graph.initializer
    assert onnx.TensorProto.FLOAT16 in {w.data_type for w in weights}
    found = Restorer(tmp_path / "half.onnx")(IMAGE)
    assert np.abs(found.astype(int) - Restorer(network)(IMAGE)).max() <= 2


def test_int8_is_calibrated_measured_and_refused_when_it_loses_too_much(photos, tmp_path):
    torch.manual_seed(0)
    network = Local().eval()
    network.insert(1, torch.nn.Conv2d(8, 8, 3, padding=1))
    report = export(network, tmp_path / "int8.onnx", "int8", photos, max_loss=5.0)
    assert "2 photographs" in str(report) and "int8: all convolutions but" in report.notes
    nodes = onnx.load(tmp_path / "int8.onnx").graph.node
    assert "QuantizeLinear" in {node.op_type for node in nodes}
    before = (tmp_path / "int8.onnx").read_bytes()
    with pytest.raises(ExportError, match=r"no int8 file loses at most -90.*every second dense"):
        export(network, tmp_path / "int8.onnx", "int8", photos, max_loss=-90.0)
    assert (tmp_path / "int8.onnx").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["int8.onnx", "photos"]


@pytest.mark.parametrize(
    "network",
    [
        lambda: HNASNet("HNAS_A", 2, mid_channels=3),
        lambda: HiNASNet("HINAS_SR", mid_channels=4, upscale_factor=2),
        lambda: HiNASNet("HINAS_DENOISE", "denoise", 1, 1, 4),
        lambda: DRNNet(2, num_blocks=1, mid_channels=8),
    ],
    ids=["hnas", "hinas_sr", "hinas_denoise", "drn"],
)
def test_weights_alone_build_every_network(network, tmp_path):
    torch.manual_seed(0)
    network = network().eval()
    for name in ("net.safetensors", "net.pth"):
        report = export(network, tmp_path / name)
        assert report.largest_error == 0
        found = load_network(tmp_path / name)
        assert found.genotype == network.genotype
        assert all(map(torch.equal, found.parameters(), network.parameters()))


def test_training_checkpoint_becomes_weights(tiny, tmp_path):
    path, network = tiny
    report = export(path, tmp_path / "weights.pth")
    assert report.psnr_loss == 0
    checkpoint = read_checkpoint(tmp_path / "weights.pth")
    assert CARD_KEY not in checkpoint.weights
    assert checkpoint.genotype == network.genotype
    assert checkpoint.meta["card"]["training"]["iterations"] == 1
    again = export(tmp_path / "weights.pth", tmp_path / "again.safetensors")
    assert again.psnr_loss == 0
    assert read_checkpoint(tmp_path / "again.safetensors").meta["training"]["iterations"] == 1


def test_spandrel_loads_a_file_alone(dlsr, tmp_path):
    spandrel = pytest.importorskip("spandrel")
    from mmsrnas.apis.peers import register

    register()
    register()
    for name in ("net.safetensors", "net.pth"):
        export(dlsr, tmp_path / name)
        found = spandrel.ModelLoader().load_from_file(tmp_path / name)
        assert (found.scale, found.input_channels, found.purpose) == (2, 3, "SR")
        image = torch.rand(1, 3, 20, 24)
        with torch.no_grad():
            assert torch.equal(found(image), dlsr(image).clamp(0, 1))
            assert found(image[..., :9, :9]).shape == (1, 3, 18, 18)


def test_a_card_cannot_run_code(dlsr, tmp_path):
    made = tmp_path / "made"
    export(dlsr, tmp_path / "net.pth")
    content = torch.load(tmp_path / "net.pth", weights_only=True)
    content["meta"]["generator"] = {"type": "os.mkdir", "path": str(made)}
    torch.save(content, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match=r"network is refused: type='os.mkdir'"):
        load_model(tmp_path / "evil.pth")
    assert not made.exists()
    (tmp_path / "no.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="is no safetensors file"):
        load_model(tmp_path / "no.safetensors")


@pytest.mark.parametrize(("package", "ending"), [("openvino", ".xml"), ("ncnn", ".param")])
def test_files_of_optional_packages(dlsr, tmp_path, package, ending):
    pytest.importorskip(package, reason="an optional package")
    path = tmp_path / f"net{ending}"
    report = export(dlsr, path)
    assert report.psnr_loss < 0.02 and path.with_suffix(".bin").is_file()
    found = Restorer(path)
    assert (found.model.runtime, found.model.min_size) == (package, 15)
    assert np.abs(found(IMAGE).astype(int) - Restorer(dlsr)(IMAGE)).max() <= 1
    if package == "ncnn":
        path.with_suffix(".json").unlink()
        with pytest.raises(FileNotFoundError, match=r"net\.json must lie beside"):
            Restorer(path)


@pytest.mark.parametrize(("package", "ending"), [("openvino", ".xml"), ("pnnx", ".param")])
def test_package_that_is_not_installed(dlsr, tmp_path, monkeypatch, package, ending):
    for name in ("openvino", "ncnn", "pnnx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=f"pip install .*{package}"):
        export(dlsr, tmp_path / f"net{ending}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("net.pt", {}, r"'net\.pt' must end in \.onnx"),
        ("net.onnx", {"precision": "int4"}, "expected fp32, fp16 or int8"),
        ("net.xml", {"precision": "fp16"}, r"made for \.onnx files"),
        ("net.onnx", {"precision": "int8"}, "photos: int8 is calibrated on photographs"),
        ("net.onnx", {"photos": "nowhere"}, "photos: no image in 'nowhere'"),
    ],
)
def test_what_cannot_work_is_said_before(dlsr, tmp_path, name, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        export(dlsr, tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite(dlsr, tmp_path):
    dlsr.conv_first.weight.data.fill_(torch.nan)
    with pytest.raises(FloatingPointError):
        export(dlsr, tmp_path / "net.pth")


def test_photographs_of_a_denoiser_are_noisy(photos):
    pairs = Photographs(photos, 1, 1, sigma=25.0)
    noisy, clean = pairs.pairs[0]
    assert clean.shape == (1, 1, 72, 72)
    assert float((noisy * 255 - clean).std()) == pytest.approx(25, rel=0.1)
    assert pairs.psnr(lambda x: x, 0) == pytest.approx(20.3, abs=0.5)
