"""Docstrings and pages name only classes and functions that exist."""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [p for part in ("mmsrnas", "tools", "benchmarks") for p in (ROOT / part).rglob("*.py")]
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "configs").rglob("*.md")]

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`~?([\w.]+)`")
CODE = re.compile(r"`+(?:[\w.]+\.)?([A-Z][A-Za-z]+)(?:\([^`]*\))?`+")
FOREIGN = (
    *(
        "builtins",
        "torch",
        "torch.nn",
        "torch.nn.parallel",
        "torch.optim",
        "torch.optim.lr_scheduler",
        "torch.utils.data",
    ),
    *("mmengine.dataset", "mmengine.hooks", "mmengine.optim", "mmengine.runner", "mmengine.config"),
    *("mmengine.visualization", "mmagic.datasets", "mmagic.datasets.transforms"),
    *("mmagic.apis", "mmagic.apis.inferencers"),
    *("mmagic.engine.runner", "mmagic.evaluation", "mmagic.models", "mmagic.structures", "numpy"),
)
"""Modules whose names are used without them."""


def defined_in(path: Path) -> Iterator[str]:
    """Names of classes and functions, and of what is assigned, in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def docstrings_of(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            yield ast.get_docstring(node) or ""


@cache
def ours() -> set[str]:
    return {name for path in SOURCES for name in defined_in(path)}


@cache
def known() -> set[str]:
    """Our names, and those of the libraries that are named without their module."""
    return ours().union(*(dir(importlib.import_module(module)) for module in FOREIGN))


def exists(name: str) -> bool:
    """Whether ``package.module.Class.method`` can be reached."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            value = getattr(value, part, None)
        return value is not None
    return False


def is_camel_case(name: str) -> bool:
    capitals = sum(map(str.isupper, name))
    return capitals > 1 and len(name) - capitals > 1


def unknown_references(text: str) -> set[str]:
    """What a text refers to, and nothing defines."""
    roles = set(ROLE.findall(text))
    wrong = {name for name in roles if not (set(name.split(".")) <= ours() or exists(name))}
    classes = {name for name in CODE.findall(text) if is_camel_case(name)}
    return wrong | (classes - known())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_name_what_exists(path):
    assert not {name for text in docstrings_of(path) for name in unknown_references(text)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_name_what_exists(path):
    blocks = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)  # code has tests of its own
    assert not unknown_references(blocks.sub("", path.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        ":class:`~mmsrnas.datasets.UnpairedDataset`",
        ":class:`PairedDataset`",
        ":meth:`PairedImageDataset.load_everything`",
        "``MultiEvaluator``",
        "`mmsrnas.UnpairedDataset(scale=2)`",
    ],
)
def test_names_of_nothing_are_found(text):
    assert unknown_references(f"As {text} says.")
