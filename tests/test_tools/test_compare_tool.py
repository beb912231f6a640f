import csv
from pathlib import Path

import mmagic
import pytest
import torch

from mmsrnas.apis import init_generator
from mmsrnas.models.dlsr import DLSRNet

CONFIGS = Path(__file__).parents[2] / "configs"
EDSR = Path(mmagic.__file__).parent / ".mim/configs/edsr/edsr_x2c64b16_1xb16-300k_div2k.py"
TEST_SET = """
_base_ = "{base}"

test_dataloader = [dict(_base_.test_dataloader[0], num_workers=0)]
test_dataloader[0]["dataset"]["data_root"] = "{folder}"
test_evaluator = [_base_.test_evaluator[0]]
"""


@pytest.fixture
def test_config(paired_images, tmp_path):
    """A config with one test set."""
    base = CONFIGS / "_base_/datasets/sr_test_x2.py"
    (tmp_path / "test_set.py").write_text(TEST_SET.format(base=base, folder=paired_images))
    return tmp_path / "test_set.py"


def save(path, network):
    state = {f"generator.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": state}, path)
    return path


def test_our_network_beside_one_of_mmagic(run_tool, test_config, tmp_path):
    tiny = save(tmp_path / "tiny.pth", DLSRNet("DLSR_TINY"))
    edsr = save(tmp_path / "edsr.pth", init_generator(EDSR))
    printed = run_tool(
        "compare.py",
        test_config,
        f"tiny={CONFIGS}/dlsr/dlsr_tiny_x2_div2k.py,{tiny}",
        f"EDSR={EDSR},{edsr}",
        CONFIGS / "published_sr.csv",
        *("--out", tmp_path / "out", "--no-latency", "--hr=64x64"),
    )
    assert "| tiny " in printed and " 56,268 |" in printed
    with open(tmp_path / "out/table.csv", newline="") as file:
        bicubic, net, other, *published = csv.DictReader(file)
    assert float(bicubic["Set5/PSNR"]) > 20 > float(net["Set5/PSNR"])  # untrained
    assert (int(net["params"]), int(other["params"])) == (56_268, 1_369_859)
    assert published[0]["model"] == "CARN (published)"
    assert "Urban100/PSNR" not in net
    for picture in ("tradeoff", "crops"):
        assert (tmp_path / f"out/{picture}.png").is_file()
    assert (tmp_path / "out/table.md").read_text() in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "bicubic", "--scale=2"], "IMAGES: no folder 'nowhere'"),
        (["pairs", "nothing.pth"], "'nothing.pth' does not exist"),
        (["pairs", "bicubic", "--scale=2", "--target=abacus"], "'abacus' is no runtime"),
        (["test_set.py", "bicubic", "--scale=3"], "dataset.scale is 2; bicubic has scale 3"),
    ],
)
def test_what_is_refused_before_anything_is_tested(
    run_tool, test_config, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=message):
        run_tool("compare.py", *arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out/table.md").exists()
