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
        *("--model", "tiny", CONFIGS / "dlsr/dlsr_tiny_x2_div2k.py", tiny),
        *("--model", "EDSR", EDSR, edsr),
        *("--out", tmp_path / "out", "--no-latency", "--hr=64x64"),
    )
    assert "| tiny | 56,268 |" in printed
    with open(tmp_path / "out/table.csv", newline="") as file:
        bicubic, net, other = csv.DictReader(file)
    assert float(bicubic["Set5/PSNR"]) > 20 > float(net["Set5/PSNR"])  # untrained
    assert (int(net["params"]), int(other["params"])) == (56_268, 1_369_859)
    assert (tmp_path / "out/tradeoff.png").is_file()
    assert (tmp_path / "out/table.md").read_text() in printed


def test_networks_of_different_scales_are_refused(run_tool, test_config, tmp_path):
    x2 = save(tmp_path / "x2.pth", DLSRNet())
    x3 = save(tmp_path / "x3.pth", DLSRNet(upscale_factor=3))
    with pytest.raises(SystemExit, match="different scales"):
        run_tool(
            "compare.py",
            test_config,
            *("--model", "a", CONFIGS / "dlsr/dlsr_x2_div2k.py", x2),
            *("--model", "b", CONFIGS / "dlsr/dlsr_x3_div2k.py", x3),
        )


@pytest.mark.parametrize("name", ["a", "bicubic"])
def test_a_name_that_is_taken_is_refused(run_tool, test_config, tmp_path, name):
    x2 = save(tmp_path / "x2.pth", DLSRNet())
    config = CONFIGS / "dlsr/dlsr_x2_div2k.py"
    models = [("--model", n, config, x2) for n in ("a", name)]
    with pytest.raises(SystemExit, match=f"the name '{name}' is taken"):
        run_tool("compare.py", test_config, *models[0], *models[1], "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
