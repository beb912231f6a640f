"""Every script and every Python block of the pages starts in a process of its own.

The processes are forked from one that has imported the dependencies and all modules of the package.
That `mmsrnas` comes before mmagic and torchvision, which it repairs, is read in the sources;
test_compat.py has really new processes.
"""

import ast
import gc
import importlib
import os
import pkgutil
import re
import runpy
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mmsrnas
from mmsrnas import registry
from mmsrnas.__main__ import COMMANDS
from mmsrnas.costs import COSTS

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(
    path
    for folder in ("tools", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if not path.name.startswith("_") and not (path.parent / "__init__.py").exists()
)
# The blocks of extending.md are the files of one package, which a test of its own runs whole.
PAGES = [
    page
    for page in (
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "configs").rglob("*.md"),
    )
    if page.name != "extending.md"
]
# Those that test_pages.py runs.
RUN_BY_PAGES = {f"{name}.py" for name in ("train", "test", "derive", "compare", "export", "infer")}
RUN_BY_PAGES |= {"get_flops.py", "check_data.py", "prepare_div2k.py"}
# What mmsrnas has to come before.
REPAIRED = {"mmagic", "torchvision"}


def imported_packages(source: str) -> Iterator[str]:
    """Top-level packages in the order in which a source imports them."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    for node in sorted(nodes, key=lambda node: node.lineno):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def python_blocks() -> list[tuple[str, str]]:
    """Name and text of the Python blocks of all pages."""
    blocks = []
    for page in PAGES:
        found = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
        name = page.relative_to(ROOT)
        blocks += [(f"{name}-{index}", text) for index, text in enumerate(found)]
    return blocks


BLOCKS = python_blocks()


def outcome(work: Callable[[], None], folder: Path) -> str:
    """Does work in a forked process, in a folder; returns what went wrong, or nothing."""
    log = folder / "outcome.txt"
    child = os.fork()
    if child == 0:
        code = 0
        with open(log, "w") as file:
            sys.stdout = sys.stderr = file
            try:
                os.chdir(folder)
                work()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:
                traceback.print_exc(file=file)
                code = 1
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return "" if status == 0 else log.read_text()[-2000:] or f"status {status}"


pytestmark = pytest.mark.cpu


@pytest.fixture(scope="module", autouse=True)
def dependencies():
    """Imports once what all scripts import."""
    for module in pkgutil.walk_packages(mmsrnas.__path__, "mmsrnas."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()  # or each child copies the pages of what it inherits


def test_scripts_import_mmsrnas_first():
    for path in SCRIPTS:
        packages = imported_packages(path.read_text())
        first = next((name for name in packages if name in REPAIRED | {"mmsrnas"}), "mmsrnas")
        assert first == "mmsrnas", f"{path}: {first} is imported before mmsrnas"


@pytest.mark.parametrize(
    "path",
    [path for path in SCRIPTS if path.name not in RUN_BY_PAGES],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_script_starts(path, tmp_path):
    def start() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "demo"]:
            del sys.modules[name]
        sys.argv, sys.path[0] = [str(path), "--help"], str(path.parent)
        runpy.run_path(str(path), run_name="__main__")

    assert not outcome(start, tmp_path)
    assert (tmp_path / "outcome.txt").read_text().startswith("usage:")


def test_a_tool_starts_in_a_fresh_process():
    """Forks, as the other starts are, have imported everything already."""
    command = [sys.executable, str(ROOT / "tools/train.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and "--resume" in done.stdout, done.stderr[-2000:]


def test_options_of_configs_are_read_in_one_way():
    for path in SCRIPTS:
        assert "DictAction" not in path.read_text(), f"{path}: take mmsrnas.apis.config"


@pytest.mark.parametrize("name", [name for name, _ in BLOCKS])
def test_block_of_a_page(name, tmp_path, monkeypatch):
    text = dict(BLOCKS)[name]
    tree = ast.parse(text)
    for kind in re.findall(r'\btype="([\w.]+)"', text):
        known = any(getattr(registry, node).get(kind) for node in registry.__all__)
        assert known or kind in COSTS, kind
    imports = [
        node
        for node in tree.body
        if isinstance(node, ast.Import)
        or (isinstance(node, ast.ImportFrom) and not node.level)  # a file of a user's package
    ]
    if not imports:
        return
    packages = list(imported_packages(text))
    first = next((name for name in packages if name in REPAIRED | {"mmsrnas"}), "mmsrnas")
    assert first == "mmsrnas", f"{first} is imported before mmsrnas"
    prepare = PREPARATIONS.get(name)
    code = tree if prepare else ast.Module(imports, type_ignores=[])

    def run() -> None:
        if prepare:
            prepare()
        exec(compile(code, name, "exec"), {"__name__": "block"})

    assert not outcome(run, tmp_path)


def shell_commands() -> Iterator[tuple[str, str, str, str]]:
    """Page, name of the command, script and arguments of what the pages say to a shell."""
    command = r"\b(?:mmsrnas ((?:data |convert )?[a-z0-9]+)|python (\S+\.py))(?=\s|$)([^#]*)"
    for page in PAGES:
        for block in re.findall(r"^```bash\n(.*?)^```", page.read_text(), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                for name, script, arguments in re.findall(command, line):
                    yield page.name, name, script, arguments


def test_shell_commands_of_the_pages_exist_with_their_options():
    """They are long; what starts each is run by the test above."""
    found, common = list(shell_commands()), (ROOT / "mmsrnas/command.py").read_text()
    assert len(found) > 100
    for page, name, script, arguments in found:
        assert not name or name in COMMANDS, f"{page}: mmsrnas {name}"
        path = ROOT / "tools" / COMMANDS[name][0] if name else ROOT / script
        assert path.is_file(), f"{page}: {script}"
        known = path.read_text() + common
        for option in re.findall(r"(?<=\s)--[a-z][\w-]*", arguments):
            assert f'"{option}"' in known or option == "--help", f"{page}: {path.name} {option}"


def write_dlsr_and_image() -> None:
    """What the blocks on inference read."""
    import cv2
    import numpy as np
    import torch

    from mmsrnas.models import DLSRNet

    network = DLSRNet("DLSR_TINY")
    meta = {"genotype": network.genotype.to_dict()}
    torch.save({"state_dict": network.state_dict(), "meta": meta}, "dlsr_x2.pth")
    cv2.imwrite("small.png", np.zeros((20, 24, 3), np.uint8))


def write_weights() -> None:
    """What the block on spandrel reads."""
    from mmsrnas.apis.export import export
    from mmsrnas.models import DLSRNet

    export(DLSRNet("DLSR_TINY", mid_channels=8), "dlsr_weights.pth")


# Blocks that are run whole, and what has to be there; of the others only the imports are run.
PREPARATIONS = {f"docs/inference.md-{block}": write_dlsr_and_image for block in (0, 1)}
