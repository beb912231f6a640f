"""Fixtures of the tests of the tools."""

import runpy
import sys
from pathlib import Path

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
