"""Images of any size through any network, in one piece or in tiles."""

import importlib

import numpy as np
import pytest
import torch
from mmengine.config import Config
from networks import Local, Nearest, nearest
from torch import nn

from mmsrnas.apis.inference import Restorer, load_model, load_network
from mmsrnas.apis.inference.tiling import find_halo, peak_bytes_per_pixel, split
from mmsrnas.checkpoint import CheckpointError
from mmsrnas.models import DLSRNet, HiNASNet

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (130, 150, 3), np.uint8)
SMALL = IMAGE[:30, :24]


@pytest.mark.parametrize("size", [(1, 1), (5, 400), (96, 96), (97, 95), (301, 200)])
@pytest.mark.parametrize(("tile", "halo"), [(96, 0), (96, 7), (128, 24)])
def test_tiles_cover_every_pixel_once_and_have_one_size(size, tile, halo):
    covered, sizes = np.zeros(size, int), set()
    for part in split(size, tile, halo):
        covered[part.core] += 1
        sizes.add(tuple(span.stop - span.start for span in part.outer))
        assert all(span.stop - span.start <= tile for span in part.outer)
        for core, outer, length in zip(part.core, part.outer, size, strict=True):
            assert core.start - outer.start >= min(halo, core.start)
            assert outer.stop - core.stop >= min(halo, length - core.stop)
    assert (covered == 1).all() and len(sizes) == 1


def test_tiles_of_nothing_but_halo_are_refused():
    with pytest.raises(ValueError, match="expected at least 103 pixels, got 102"):
        next(split((200, 200), 102, 40))
    assert next(split((200, 200), 103, 40)).core[0] == slice(0, 52)


def test_tiles_of_a_local_network_are_exact():
    torch.manual_seed(0)
    network = Local()
    whole, tiled = Restorer(network), Restorer(network, tile=96)
    assert tiled.halo.size == 3 and tiled.halo.is_exact
    assert np.array_equal(whole(IMAGE), tiled(IMAGE))


def test_a_network_that_looks_at_the_whole_image_says_how_much_tiles_differ():
    class Global(Local):
        def forward(self, x):
            return super().forward(x) * (1 + x.mean())

    restorer = Restorer(Global(), tile=96)
    assert not restorer.halo.is_exact and restorer.halo.difference > 1e-3
    assert "differ from it by at most" in str(restorer.halo)


def test_attention_of_dlsr_is_not_local():
    torch.manual_seed(0)
    network = DLSRNet("DLSR_TINY", mid_channels=8)
    assert not find_halo(network.eval(), 3, 2, 15).is_exact


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (14, 15), (33, 57)])
def test_sizes_that_the_network_refuses_are_padded(size):
    torch.manual_seed(0)
    network = DLSRNet("DLSR_TINY", mid_channels=8).eval()
    image = IMAGE[: size[0], : size[1]]
    restored = Restorer(network, precision="fp32")(image)
    assert restored.shape == (2 * size[0], 2 * size[1], 3)
    if min(size) >= network.min_size:
        with torch.no_grad():
            y = network(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)[0]
        expected = (y * 255).clamp(0, 255).round().byte().permute(1, 2, 0).numpy()
        assert np.array_equal(restored, expected)


def test_gray_and_colour_through_networks_of_the_other_kind():
    gray = IMAGE[..., 0]
    assert np.array_equal(Restorer(Nearest(3))(gray), nearest(gray))
    assert np.array_equal(Restorer(Nearest(3))(gray[..., None]), nearest(gray)[..., None])
    assert np.array_equal(Restorer(Nearest(1))(IMAGE), nearest(IMAGE))
    with pytest.raises(ValueError, match="takes images of 2 channels"):
        Restorer(Nearest(2))


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4)), np.zeros((0, 4, 3), np.uint8)]
)
def test_arrays_that_are_no_image(image):
    with pytest.raises(ValueError, match=r"image: expected .* got"):
        Restorer(Nearest())(image)


def test_memory_decides_about_tiles():
    network = Local()
    restorer = Restorer(network, max_memory=1)
    with pytest.raises(MemoryError, match="needs max_memory of at least"):
        restorer(IMAGE)
    needed = peak_bytes_per_pixel(network, 3)
    assert 12 * 4 <= needed <= 64 * 4  # features of 8 and 12 channels and both images, in float32
    network.in_channels = 3
    steps = []
    Restorer(network, tile=96)(IMAGE, steps.append)
    assert len(steps) > 1 and sum(steps) == IMAGE.shape[0] * IMAGE.shape[1]


def test_half_precision_is_taken_only_where_it_agrees(monkeypatch):
    monkeypatch.setattr("mmsrnas.apis.inference.restorer._computes_in", lambda *_: True)
    torch.manual_seed(0)

    class Residual(Local):
        strength = 1e-3

        def forward(self, x):
            big = nn.functional.interpolate(x, scale_factor=2)
            return big + self.strength * super().forward(x)

    network = Residual()
    assert Restorer(network).dtype == torch.bfloat16
    network.strength = 10.0
    assert Restorer(network).dtype == torch.float32
    assert Restorer(network, precision="bf16").dtype == torch.bfloat16
    with pytest.raises(ValueError, match="precision: expected one of"):
        Restorer(network, precision="int8")


def test_checkpoint_alone(tiny):
    path, network = tiny
    found = Restorer(path, runtime="torch")
    assert np.array_equal(found(SMALL), Restorer(network, device=found.device)(SMALL))


@pytest.mark.parametrize("content", ["genotype", "generator"])
def test_weights_with_a_genotype_or_with_the_arguments_of_their_network(tmp_path, content):
    network = HiNASNet("HINAS_DENOISE", "denoise", 1, 1, 4).eval()
    meta = {"genotype": network.genotype.to_dict()}
    if content == "generator":
        meta = {"generator": {"type": "mmsrnas.HiNASNet", "genotype": network.genotype.to_dict()}}
    torch.save({"state_dict": network.state_dict(), "meta": meta}, tmp_path / "w.pth")
    gray = SMALL[..., 0]
    found = Restorer(tmp_path / "w.pth", runtime="torch")
    assert np.array_equal(found(gray), Restorer(network, device=found.device)(gray))


def test_files_that_do_not_tell_their_network(tmp_path, tiny):
    path, network = tiny
    torch.save(network.state_dict(), tmp_path / "bare.pth")
    with pytest.raises(CheckpointError, match=r"neither a config nor a genotype.*--config"):
        load_model(tmp_path / "bare.pth")
    generator = dict(type="mmsrnas.DLSRNet", genotype=network.genotype.to_dict())
    config = Config(dict(model=dict(type="BaseEditModel", generator=generator)))
    assert torch.equal(
        load_network(tmp_path / "bare.pth", config).conv_first.weight, network.conv_first.weight
    )
    searched = torch.load(path, weights_only=True)
    searched["meta"]["cfg"] = searched["meta"]["cfg"].replace("DLSRNet", "DLSRSupernet")
    torch.save(searched, tmp_path / "search.pth")
    with pytest.raises(CheckpointError, match="is one of a search"):
        load_model(tmp_path / "search.pth")
    other = torch.load(path, weights_only=True)
    other["meta"]["cfg"] = other["meta"]["cfg"].replace("255.0, 255.0, 255.0", "1.0, 1.0, 1.0")
    torch.save(other, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"std=\[1.0, 1.0, 1.0\]; only"):
        load_model(tmp_path / "other.pth")
    (tmp_path / "no.onnx").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no ONNX file that runs"):
        load_model(tmp_path / "no.onnx")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.onnx' does not exist"):
        load_model(tmp_path / "nowhere.onnx")


def test_onnx_file(tmp_path):
    from mmsrnas.apis import export_onnx

    torch.manual_seed(0)
    network = Local()
    export_onnx(network, tmp_path / "net.onnx")
    restorer, exact = Restorer(tmp_path / "net.onnx", tile=96), Restorer(network)(IMAGE)
    for _ in range(2):  # the memory of tiles is given back after each image
        assert np.abs(restorer(IMAGE).astype(int) - exact).max() <= 1


def test_devices_that_do_not_serve_are_refused(tmp_path):
    from mmsrnas.apis import export_onnx

    export_onnx(Local(), tmp_path / "net.onnx")
    assert Restorer(tmp_path / "net.onnx").device.type == "cpu"
    with pytest.raises(ValueError, match=r"device: onnxruntime runs on the CPU alone, got 'cuda'"):
        Restorer(tmp_path / "net.onnx", device="cuda")
    with pytest.raises(ValueError, match="device: Expected one of cpu"):
        Restorer(Local(), device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device: 'cuda' was asked for, but torch sees no GPU"):
            Restorer(Local(), device="cuda")


def test_weights_of_a_network_that_spandrel_knows(tmp_path):
    spandrel = pytest.importorskip("spandrel")
    module = importlib.import_module("spandrel.architectures.Compact.__arch.SRVGG")
    network = module.SRVGGNetCompact(num_feat=8, num_conv=1, upscale=2).eval()
    torch.save(network.state_dict(), tmp_path / "compact.pth")
    assert spandrel.ModelLoader().load_from_file(tmp_path / "compact.pth").scale == 2
    found = Restorer(tmp_path / "compact.pth", runtime="torch")
    assert (found.model.upscale_factor, found.model.in_channels) == (2, 3)
    network.upscale_factor, network.in_channels = 2, 3
    assert np.array_equal(found(SMALL), Restorer(network, device=found.device)(SMALL))
