from pathlib import Path

import pytest
import torch

from mmsrnas.models.dlsr import DLSRNet

CONFIG = Path(__file__).parents[2] / "configs/dlsr/dlsr_tiny_x2_div2k.py"


@pytest.fixture
def checkpoint(tmp_path):
    state = {f"generator.{k}": v for k, v in DLSRNet("DLSR_TINY").state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "tiny.pth")
    return tmp_path / "tiny.pth"


def test_writes_a_checked_file(run_tool, checkpoint, tmp_path):
    printed = run_tool("export_onnx.py", CONFIG, checkpoint, tmp_path / "deploy/tiny.onnx")
    assert (tmp_path / "deploy/tiny.onnx").stat().st_size > 200_000
    assert "largest error against the network in float64" in printed


def test_too_large_a_difference_is_no_success(run_tool, checkpoint, tmp_path):
    with pytest.raises(SystemExit, match=r"is not written.*errs by more"):
        run_tool("export_onnx.py", CONFIG, checkpoint, tmp_path / "tiny.onnx", "--tolerance=-1")
