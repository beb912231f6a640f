import os
import subprocess
import sys
from pathlib import Path

import cv2

ROOT = Path(__file__).parents[2]


def test_fast_run(tmp_path):
    """All stages as sub-processes, four iterations each."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tools/demo_denoise.py"), "--fast"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    work = tmp_path / "work_dirs/demo_denoise"
    report = (work / "report.md").read_text()
    for picture in ("genotype", "side_by_side"):
        assert f"({picture}.png)" in report
        assert cv2.imread(str(work / f"{picture}.png")).std() > 10
    assert "noisy photographs (14.9" in report  # 20 log10(255 / 50) = 14.15, clipped for display
    commands = (work / "commands.txt").read_text().splitlines()
    tools = [Path(line.split()[1]).name for line in commands]
    assert tools == ["train.py", "derive.py", "train.py", "test.py"]
