"""The command ``mmsrnas``: quick help, all commands, and the scripts that it runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from mmsrnas import __main__ as command

ROOT = Path(__file__).parents[1]


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command line in this process; returns what it printed."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["mmsrnas", *map(str, args)])
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
        command.main()
        return capsys.readouterr()

    return run


def test_help_fits_a_screen_and_is_quick():
    code = """import sys, mmsrnas.__main__
sys.argv = ['mmsrnas', '--help']
try:
    mmsrnas.__main__.main()
except SystemExit:
    assert not {'torch', 'mmengine'} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("usage: mmsrnas COMMAND") and len(lines) <= 40
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", command.COMMANDS)
def test_every_command_is_a_tool(name):
    script, summary = command.COMMANDS[name]
    assert (ROOT / "tools" / script).is_file() and len(summary) < 60


def test_no_tool_is_forgotten():
    named = {script for script, _ in command.COMMANDS.values()}
    tools = {str(path.relative_to(ROOT / "tools")) for path in (ROOT / "tools").rglob("*.py")}
    assert {n for n in tools - named if "demo" not in n} <= {"misc/make_tables.py"}


def test_the_name_of_the_command_stands_in_its_help(run, capsys):
    with pytest.raises(SystemExit) as end:
        run("data", "folder", "--help")
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("usage: mmsrnas data folder")


def test_wrong_command(run):
    with pytest.raises(SystemExit, match="no command or script 'serach'"):
        run("serach")
    with pytest.raises(SystemExit, match="Did you mean data folder or"):
        run("data")
    with pytest.raises(SystemExit) as end:
        run()
    assert end.value.code == 2


def test_any_other_script(run, tmp_path):
    (tmp_path / "helper.py").write_text("VALUE = 7")
    (tmp_path / "script.py").write_text(
        "import sys, helper\nprint(__name__, sys.argv[1:], helper.VALUE)"
    )
    printed = run(tmp_path / "script.py", "--flag", "x")
    assert printed.out == "__main__ ['--flag', 'x'] 7\n"


def test_interruption_has_its_status(run, tmp_path):
    (tmp_path / "script.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(SystemExit) as end:
        run(tmp_path / "script.py")
    assert end.value.code == 130
