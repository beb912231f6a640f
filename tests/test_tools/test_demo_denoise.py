import re
from pathlib import Path

import cv2


def test_fast_run(tmp_path, run_demo):
    """All stages, four iterations each."""
    run_demo("demo_denoise")
    work = tmp_path / "work_dirs/demo_denoise"
    report = (work / "report.md").read_text()
    for picture in ("genotype", "side_by_side"):
        assert f"({picture}.png)" in report
        assert cv2.imread(str(work / f"{picture}.png")).std() > 10
    # 20 log10(255 / 50) = 14.15, and more where it is clipped.
    assert re.search(r"noisy photographs \(1[45]\.", report)
    commands = (work / "commands.txt").read_text().splitlines()
    tools = [Path(line.split()[1]).name for line in commands]
    assert tools == ["train.py", "select_front.py", "derive.py", "train.py", "test.py"]
