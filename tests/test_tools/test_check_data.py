import json
from pathlib import Path

import pytest

BASE = Path(__file__).parents[2] / "configs/_base_/datasets/sr_test_x2.py"
CONFIG = """
_base_ = "{base}"

test_dataloader = [dict(_base_.test_dataloader[0])]
test_dataloader[0]["dataset"]["data_root"] = "{folder}"
test_evaluator = [_base_.test_evaluator[0]]
"""


def test_says_what_is_wrong_and_ends_with_status_1(run_tool, paired_images, tmp_path, capsys):
    config, out = tmp_path / "set.py", tmp_path / "report.json"
    config.write_text(CONFIG.format(base=BASE, folder=paired_images))
    assert "test_dataloader[0]: 6 samples" in run_tool("misc/check_data.py", config)
    (paired_images / "HR/000.png").write_bytes(b"")
    with pytest.raises(SystemExit) as end:
        run_tool("misc/check_data.py", config, "--out", out)
    assert end.value.code == 1
    assert "error: test_dataloader[0]: cannot read image" in capsys.readouterr().out
    assert json.loads(out.read_text())["findings"][0]["stops"]
