"""Changes the code in small ways, one at a time, and counts the changes that the tests find.

    python benchmarks/mutation.py --count 100 --out mutants.csv

A mutant is a module with one changed comparison, arithmetic operation, number, condition or logical
operation, drawn with a seed from all of genotypes, decoding, costs, losses, selection and surgery.
The tests of its module run on it in a process that is forked after the imports of torch, mmengine
and mmagic, until the first one fails. ``make mutation`` runs a sample of 100.
"""

import argparse
import ast
import contextlib
import csv
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mmsrnas  # noqa: F401  (repairs the stack before mmagic is imported)

# isort: split
import mmagic.models  # noqa: F401  (what all tests import)
import mmengine.runner  # noqa: F401
import pytest

ROOT = Path(__file__).parents[1]
COLUMNS = ("seed", "module", "line", "change", "found", "seconds")
TIMEOUT = 120
"""CPU seconds after which a mutant counts as found: it does not end."""
LOADED = 77
CONTRACT = "test_models/test_contract.py"
TESTS = {
    "genotypes/dlsr.py": ["test_genotypes", "test_models/test_dlsr"],
    "genotypes/hnas.py": ["test_genotypes", "test_models/test_hnas/test_decoding.py"],
    "genotypes/hinas.py": ["test_genotypes", "test_models/test_hinas/test_decoding.py"],
    "genotypes/base.py": ["test_genotypes"],
    "models/hnas/decoding.py": ["test_models/test_hnas/test_decoding.py"],
    "models/hinas/decoding.py": ["test_models/test_hinas/test_decoding.py"],
    "models/elastic/decoding.py": ["test_models/test_elastic/test_decoding.py"],
    "models/dlsr/cost.py": ["test_models/test_dlsr/test_cost.py", CONTRACT],
    "models/hnas/cost.py": ["test_models/test_hnas/test_cost.py", CONTRACT],
    "models/hinas/cost.py": ["test_models/test_hinas/test_cost.py", CONTRACT],
    "models/elastic/cost.py": ["test_models/test_elastic/test_cost.py", CONTRACT],
    "pruning/cost.py": ["test_pruning/test_cost.py", CONTRACT],
    "costs.py": ["test_costs.py", "test_budgets.py"],
    "models/losses/hfen_loss.py": ["test_models/test_losses/test_hfen_loss.py"],
    "models/losses/ssim_loss.py": ["test_models/test_losses/test_ssim_loss.py"],
    "models/losses/complexity_loss.py": ["test_models/test_losses/test_complexity_loss.py"],
    "models/losses/distillation_loss.py": ["test_models/test_losses/test_distillation_loss.py"],
    "pruning/selection.py": ["test_pruning/test_selection.py"],
    "pruning/surgery.py": ["test_pruning/test_surgery.py"],
}
COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.Mod: ast.Mult,
}  # fmt: skip


def sites(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that can be changed; annotations and errors are left out."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Raise) or child is getattr(tree, "annotation", None):
            continue
        if child is getattr(tree, "returns", None):
            continue
        if isinstance(child, ast.Compare) and type(child.ops[0]) in COMPARISONS:
            yield child
        elif isinstance(child, ast.BinOp) and type(child.op) in ARITHMETIC:
            if not isinstance(getattr(child.left, "value", 0), str):  # no formatting of a text
                yield child
        elif isinstance(child, ast.BoolOp | ast.IfExp | ast.If) or (
            isinstance(child, ast.Constant) and type(child.value) in (int, float, bool)
        ):
            yield child
        yield from sites(child)


def change(node: Any) -> str:
    """Changes a node in place; returns what was done."""
    before = ast.unparse(node.test if isinstance(node, ast.If) else node)
    if isinstance(node, ast.Compare):
        node.ops[0] = COMPARISONS[type(node.ops[0])]()
    elif isinstance(node, ast.BinOp):
        node.op = ARITHMETIC[type(node.op)]()
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.If | ast.IfExp):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    else:
        node.value = (not node.value) if isinstance(node.value, bool) else node.value + 1
    after = ast.unparse(node.test if isinstance(node, ast.If) else node)
    return f"{before} -> {after}"


def mutant(seed: int) -> tuple[str, int, str, ast.Module]:
    """Module, line, change and tree of the mutant of a seed; all places are as likely."""
    places = []
    for name in TESTS:
        tree = ast.parse((ROOT / "mmsrnas" / name).read_text())
        places += [(name, index) for index, _ in enumerate(sites(tree))]
    name, index = random.Random(seed).choice(places)
    tree = ast.parse((ROOT / "mmsrnas" / name).read_text())
    node: Any = list(sites(tree))[index]
    done = change(node)
    return name, node.lineno, done, ast.fix_missing_locations(tree)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a mutant in place of its module."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.path = ROOT / "mmsrnas" / name
        self.name = "mmsrnas." + name.removesuffix(".py").replace("/", ".")
        self.code = compile(tree, str(self.path), "exec")

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """The mutant, if it is asked for."""
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def exec_module(self, module: Any) -> None:
        """Runs the changed code."""
        exec(self.code, module.__dict__)


def is_found(name: str, tree: ast.Module) -> bool:
    """Runs the tests of a module on a mutant of it; tells whether they found it."""
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_PROF, TIMEOUT)
        status = 1
        with contextlib.suppress(BaseException), open(os.devnull, "w") as null:
            os.dup2(null.fileno(), 1)
            os.dup2(null.fileno(), 2)
            finder = Finder(name, tree)
            if finder.name in sys.modules:  # the tests would run on what is loaded
                os._exit(LOADED)
            sys.meta_path.insert(0, finder)
            os.chdir(ROOT)
            files = [f"tests/{path}" for path in TESTS[name]]
            status = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files]) != 0)
        os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == LOADED:
        raise RuntimeError(f"{name} is imported before its mutant")
    return status != 0


def main() -> None:
    """Draws mutants, runs the tests on them and writes a row for each."""
    parser = argparse.ArgumentParser(description="Count the changes of the code that tests find")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the first mutant")
    parser.add_argument("--out", type=Path, help="CSV file; its mutants are not run again")
    args = parser.parse_args()
    rows = []
    if args.out and args.out.is_file():
        with args.out.open(newline="") as file:
            rows = list(csv.DictReader(file))
    known = {int(row["seed"]) for row in rows}
    for seed in range(args.seed, args.seed + args.count):
        if seed in known:
            continue
        name, line, done, tree = mutant(seed)
        start = time.monotonic()
        found = is_found(name, tree)
        seconds = round(time.monotonic() - start, 1)
        row = dict(zip(COLUMNS, (seed, name, line, done, found, seconds), strict=True))
        rows.append(row)
        print(*row.values(), sep=", ", flush=True)
        if args.out:
            write(rows, args.out)
    score = sum(str(row["found"]) == "True" for row in rows)
    print(f"{score} of {len(rows)} mutants were found")


def write(rows: list[dict[str, Any]], path: Path) -> None:
    """Writes the table."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
