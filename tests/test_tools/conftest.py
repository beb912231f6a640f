"""Fixtures of the tests of the tools."""

import importlib
import io
import runpy
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

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
    """Runs a demo, in four or six iterations, with all of its tools; returns what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "tools"))

    def run(name):
        for module in ("demo", name):
            monkeypatch.delitem(sys.modules, module, raising=False)
        demo = importlib.import_module("demo")
        popen = {"PIPE": subprocess.PIPE, "STDOUT": subprocess.STDOUT, "Popen": InThisProcess}
        demo.subprocess = SimpleNamespace(**popen)
        monkeypatch.setattr(sys, "argv", [name, "--fast"])
        importlib.import_module(name).main()
        return capsys.readouterr().out

    yield run
    for module in ("demo", "demo_hnas", "demo_denoise"):
        sys.modules.pop(module, None)
