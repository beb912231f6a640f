"""Fixtures of the tests of the tools."""

import importlib
import io
import runpy
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_tool(monkeypatch, capsys):
    """Runs a tool with arguments in this process and returns what it printed."""

    def run(tool, *args):
        path = str(ROOT / "tools" / tool)
        monkeypatch.setattr(sys, "argv", [path, *map(str, args)])
        runpy.run_path(path, run_name="__main__")
        return capsys.readouterr().out

    return run


class InThisProcess:
    """Stands in for ``subprocess.Popen``: a new process takes seconds for its imports."""

    def __init__(self, command, **_) -> None:
        _, path, *arguments = command
        printed = io.StringIO()
        self.returncode = 0
        with (
            pytest.MonkeyPatch.context() as patch,
            redirect_stdout(printed),
            redirect_stderr(printed),
        ):
            patch.setattr(sys, "argv", [path, *arguments])
            try:
                runpy.run_path(path, run_name="__main__")
            except SystemExit as end:
                print(end)
                self.returncode = 1
        self.stdout = io.StringIO(printed.getvalue())

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass


@pytest.fixture
def run_demo(tmp_path, monkeypatch, capsys):
    """Runs a demo with all of its tools, in four or six iterations on pieces of its photographs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "tools"))

    def piece(locate):
        def located(photograph):
            path = tmp_path / "pieces" / Path(photograph).name
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), cv2.imread(str(locate(photograph)))[80:208, 80:208])
            return path

        return located

    def run(name):
        for module in ("demo", name):
            monkeypatch.delitem(sys.modules, module, raising=False)
        demo = importlib.import_module("demo")
        popen = {"PIPE": subprocess.PIPE, "STDOUT": subprocess.STDOUT, "Popen": InThisProcess}
        demo.subprocess = SimpleNamespace(**popen)
        demo.locate = piece(demo.locate)
        monkeypatch.setattr(sys, "argv", [name, "--fast"])
        importlib.import_module(name).main()
        return capsys.readouterr().out

    yield run
    for module in ("demo", "demo_hnas", "demo_denoise"):
        sys.modules.pop(module, None)
