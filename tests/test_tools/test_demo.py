import runpy
import sys
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


def test_what_it_runs(tmp_path, monkeypatch, capsys):
    """The command for photographs of one's own, on those of all parts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["demo.py"])
    commands = []

    def run(work, tool, *args):
        commands.append([tool, *map(str, args)])
        (work / "auto").mkdir()
        (work / "auto/report.md").write_text("# A network")

    names = DEMO["main"].__globals__
    monkeypatch.setitem(names, "run", run)
    monkeypatch.setitem(names, "prepare_photographs", lambda: None)
    DEMO["main"]()
    assert "# A network" in capsys.readouterr().out
    (tool, folder, *options), *more = commands
    assert not more and folder == "data/demo/photographs"
    monkeypatch.setattr(sys, "argv", [tool, folder, *options])
    args = runpy.run_path(str(ROOT / "tools" / tool))["parse_args"]()
    assert args.max_latency == 35 and args.hours <= 0.25
