import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DEMO = runpy.run_path(str(ROOT / "tools/demo.py"), run_name="demo")


def photographs():
    return [name for part in DEMO["PHOTOGRAPHS"].values() for name in part]


def test_photographs_are_in_the_packages_and_in_colour():
    for photograph in photographs():
        image = cv2.imread(str(DEMO["locate"](photograph)), cv2.IMREAD_UNCHANGED)
        assert image.dtype == np.uint8
        assert image.shape[2] == 3
        assert min(image.shape[:2]) >= 300
        assert np.ptp(image.astype(int), axis=2).mean() > 5, f"{photograph} is grey"


def test_no_photograph_is_in_two_parts():
    assert len(set(photographs())) == len(photographs())
    motorcycles = [
        part
        for part, names in DEMO["PHOTOGRAPHS"].items()
        if any("motorcycle" in name for name in names)
    ]
    assert len(motorcycles) == 1  # two views of one scene


def test_missing_photograph_names_the_packages():
    with pytest.raises(SystemExit, match=r"skimage/data/nothing.png is missing.*pip install"):
        DEMO["locate"]("skimage/data/nothing.png")
    with pytest.raises(SystemExit, match="pip install"):
        DEMO["locate"]("no_such_package/x.png")


def test_a_command_that_fails_ends_the_demo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="failed with exit code"):
        DEMO["run"](tmp_path, "train.py", "no_such_config.py")


def test_fast_run(tmp_path, run_demo):
    """All stages, four iterations each."""
    printed = run_demo("demo")
    work = tmp_path / "work_dirs/demo"
    report = (work / "report.md").read_text()
    for picture in ("genotype", "side_by_side", "curves"):
        assert f"({picture}.png)" in report
        assert cv2.imread(str(work / f"{picture}.png")).std() > 10
    assert "| bicubic | - | - | - | 30.06 | 0.8596 |" in report
    commands = (work / "commands.txt").read_text().splitlines()
    tools = [Path(line.split()[1]).name for line in commands]
    assert tools == ["train.py", "derive.py", "train.py", "test.py", "compare.py"]
    assert all(f"$ {line}" in printed for line in commands)
    assert "genotype=work_dirs/demo/genotype.json" in commands[2]
    assert "eta:" in printed
