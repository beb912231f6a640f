"""Anything that restores images becomes a contender by one line."""

import numpy as np
import pytest
import torch

from mmsrnas.analysis.contenders import classical, load_contenders
from mmsrnas.analysis.test_sets import folder_as_test_set, require_fit
from mmsrnas.apis.export import export
from mmsrnas.apis.onnx import export_onnx
from mmsrnas.datasets import imresize, read_image
from mmsrnas.models import DLSRNet

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)


def restored(contender, image=IMAGE):
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        return (contender.run(tensor)[0] * 255).round().byte().permute(1, 2, 0).numpy()


def test_classical_methods():
    assert np.array_equal(restored(classical("bicubic", 2)), imresize(IMAGE, 2))
    lanczos = restored(classical("lanczos", 3))
    assert lanczos.shape == (60, 72, 3) and abs(lanczos.mean() - IMAGE.mean()) < 1
    flat = np.full((20, 24, 3), 100, np.uint8)
    assert np.array_equal(restored(classical("nlm", 1), flat), flat)
    with pytest.raises(ValueError, match="at scale 1 expected noisy or nlm, got 'lanczos'"):
        classical("lanczos", 1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same tiny network in a checkpoint and for onnxruntime; one of scale 3, one for gray."""
    folder = tmp_path_factory.mktemp("contenders")
    nets = {f"x{n}": DLSRNet("DLSR_TINY", n, mid_channels=8).eval() for n in (2, 3)}
    for name, net in nets.items():
        export(net, folder / f"{name}.pth")
    export_onnx(nets["x2"], folder / "x2.onnx")
    return folder


def test_a_checkpoint_and_the_onnx_file_of_one_network(files):
    texts = ["lanczos", "lanczos", f"{files}/x2.pth", f"file={files}/x2.onnx"]
    bicubic, lanczos, net, file = load_contenders(texts)
    assert [c.name for c in (bicubic, lanczos, net, file)] == ["bicubic", "lanczos", "x2", "file"]
    assert {c.upscale_factor for c in (bicubic, lanczos, net, file)} == {2}
    assert net.costs_of is net.run and file.costs_of == files / "x2.onnx"
    assert abs(restored(net).astype(int) - restored(file)).max() <= 1
    assert len({c.fingerprint for c in (net, file)}) == 2


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (["x2.pth", "x3.pth"], {}, "different scales: x2 2, x3 3"),
        (["x2.pth"], {"scale": 4}, "different scales: x2 2, --scale 4"),
        (["bicubic"], {}, "add --scale"),
        (["x2.pth", "x2.onnx"], {}, "the name 'x2' is taken; give each its own"),
        (["bicubic=x2.pth"], {}, "the name 'bicubic' is taken"),
        (["x2.pth", "nlm"], {}, "at scale 2 expected bicubic or lanczos"),
    ],
)
def test_what_cannot_be_compared(files, monkeypatch, texts, options, message):
    monkeypatch.chdir(files)
    with pytest.raises(ValueError, match=message):
        load_contenders(texts, **options)


def test_test_sets_of_any_folder(files, paired_images, tmp_path):
    """LR images that lie beside, that are made, and that are given."""
    contenders = [classical("bicubic", 2)]
    given = folder_as_test_set(paired_images, tmp_path / "data", 2)
    made = folder_as_test_set(paired_images / "HR", tmp_path / "data", 2)
    lr = paired_images / "LR_bicubic/X2"
    named = folder_as_test_set(paired_images / "HR", tmp_path / "data", 2, lr)
    for cfg, folder in ((given, lr), (made, tmp_path / "data/LR_bicubic/X2"), (named, lr)):
        assert cfg.test_dataloader[0].dataset.data_prefix.img == str(folder)
        require_fit(cfg, contenders)
    same = [folder.joinpath("000x2.png") for folder in (lr, tmp_path / "data/LR_bicubic/X2")]
    assert np.array_equal(*map(read_image, same))
    prefixes = {metric.prefix for metric in made.test_evaluator[0].metrics}
    assert prefixes == {"HR", "HR-RGB"}
    noisy = folder_as_test_set(paired_images / "HR", tmp_path / "none", 1)
    require_fit(noisy, [classical("noisy", 1)])
    assert not (tmp_path / "none").exists()
    with pytest.raises(FileNotFoundError, match="IMAGES: no folder"):
        folder_as_test_set(tmp_path / "nowhere", tmp_path, 2)
    with pytest.raises(
        ValueError, match=r"test_dataloader\[0\].dataset.scale is 2; bicubic has .* 3"
    ):
        require_fit(given, [classical("bicubic", 3)])
    gray = folder_as_test_set(paired_images, tmp_path / "data", 2, in_channels=1)
    with pytest.raises(ValueError, match="reads images of 1 channels; x2 takes 3"):
        require_fit(gray, load_contenders([f"{files}/x2.pth"]))
