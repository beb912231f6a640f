"""Changes the code in small ways, one at a time, and counts the changes that the tests find.

    python benchmarks/mutation.py --count 100 --out benchmarks/mutants.csv

A mutant is a function or method with one changed comparison, arithmetic operation, number,
condition or logical operation, drawn at random (seeded) from all of genotypes, decoding, costs,
losses, selection and surgery. Drawings and messages of errors are left out. The tests of the drawn
modules are collected once, and run once on the right code, which tells what each of them runs. A
mutant is judged in a fork of that process, whose functions get the changed code; those tests run
there that run the changed line, the quickest first, until one fails.
"""

import argparse
import ast
import csv
import gc
import itertools
import os
import pickle
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import coverage
import pytest
from truth.table import append_row

ROOT = Path(__file__).parents[1]
COLUMNS = ("number", "module", "line", "change", "found by", "tests", "seconds")
SEED = 0
COSTS = (
    "test_models/test_contract.py::test_formula_of_the_cost_is_the_count",
    "test_models/test_contract.py::test_expected_cost_of_a_decided_supernet_is_the_count",
    "test_budgets.py",
)
TESTS = {
    "genotypes/dlsr.py": ["test_genotypes/test_dlsr.py", "test_genotypes/test_fuzz.py"],
    "genotypes/hnas.py": ["test_genotypes/test_hnas.py", "test_genotypes/test_fuzz.py"],
    "genotypes/hinas.py": ["test_genotypes/test_hinas.py", "test_genotypes/test_fuzz.py"],
    "genotypes/base.py": ["test_genotypes"],
    "models/hnas/decoding.py": ["test_models/test_hnas/test_decoding.py"],
    "models/hinas/decoding.py": [
        "test_models/test_hinas/test_decoding.py",
        "test_models/test_paths.py",
    ],
    "models/elastic/decoding.py": ["test_models/test_elastic/test_decoding.py"],
    "models/dlsr/cost.py": ["test_models/test_dlsr/test_cost.py", *COSTS],
    "models/hnas/cost.py": ["test_models/test_hnas/test_cost.py", *COSTS],
    "models/hinas/cost.py": ["test_models/test_hinas/test_cost.py", *COSTS],
    "models/elastic/cost.py": ["test_models/test_elastic/test_cost.py", *COSTS],
    "pruning/cost.py": ["test_pruning/test_cost.py", *COSTS],
    "costs.py": ["test_costs.py", "test_budgets.py"],
    "models/losses/hfen_loss.py": ["test_models/test_losses/test_hfen_loss.py"],
    "models/losses/ssim_loss.py": ["test_models/test_losses/test_ssim_loss.py"],
    "models/losses/complexity_loss.py": ["test_models/test_losses/test_complexity_loss.py"],
    "models/losses/distillation_loss.py": ["test_models/test_losses/test_distillation_loss.py"],
    "pruning/selection.py": [
        "test_pruning/test_selection.py",
        "test_apis/test_pruning.py::test_interrupted_job_continues_to_the_same_result",
        "test_apis/test_pruning.py::test_finished_job_is_no_result_of_another",
    ],
    "pruning/surgery.py": [
        "test_pruning/test_surgery.py",
        "test_pruning/test_groups.py::test_masked_weights_come_back_and_misfits_of_genotypes_are_named",
    ],
}
COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.Mod: ast.Mult,
}  # fmt: skip
FUNCTIONS = (ast.FunctionDef, ast.Lambda)


def sites(tree: ast.AST, inside: bool = False) -> Iterator[ast.AST]:
    """Nodes in the bodies of functions that can be changed."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Raise | ast.arguments | ast.AnnAssign) or _draws(child):
            continue
        if isinstance(tree, ast.FunctionDef) and child in (tree.returns, *tree.decorator_list):
            continue
        if inside and (
            (isinstance(child, ast.Compare) and type(child.ops[0]) in COMPARISONS)
            or (isinstance(child, ast.BinOp) and type(child.op) in ARITHMETIC and not _text(child))
            or isinstance(child, ast.BoolOp)
            or (isinstance(child, ast.IfExp | ast.If) and not isinstance(child.test, ast.Compare))
            or (isinstance(child, ast.Constant) and type(child.value) in (int, float, bool))
        ):
            yield child
        yield from sites(child, inside or isinstance(child, FUNCTIONS))


def _draws(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and "Diagram" in ast.unparse(node.returns or node)


def _text(node: ast.BinOp) -> bool:
    return any(isinstance(side, ast.Constant | ast.JoinedStr) and isinstance(
        getattr(side, "value", ""), str) for side in (node.left, node.right))  # fmt: skip


def _lines(tree: ast.AST, node: ast.AST) -> range:
    """Lines of the innermost statement around a node; of one with a body, those before it."""
    around = [s for s in ast.walk(tree) if isinstance(s, ast.stmt) and node in ast.walk(s)]
    statement: Any = around[-1]  # outer ones come first
    body = getattr(statement, "body", None)
    end = max(statement.lineno + 1, body[0].lineno) if body else statement.end_lineno + 1
    return range(statement.lineno, end)


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


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        number: Its place in the drawn order.
        module: File in the package.
        lines: Lines of the changed statement, or of its head.
        change: What was done.
        code: The changed module.
    """

    number: int
    module: str
    lines: range
    change: str
    code: CodeType

    def install(self) -> None:
        """Gives the functions of the loaded module the changed code."""
        codes = dict(_functions(self.code))
        gc.unfreeze()  # what is frozen is not listed
        functions = [
            each
            for each in gc.get_objects()
            if isinstance(each, FunctionType) and each.__code__.co_filename == self.code.co_filename
        ]
        if not functions:
            raise RuntimeError(f"no test imports {self.module}")
        for each in functions:
            each.__code__ = codes[each.__code__.co_qualname, each.__code__.co_firstlineno]


def _functions(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield (constant.co_qualname, constant.co_firstlineno), constant
            yield from _functions(constant)


def mutants(numbers: Collection[int]) -> Iterator[Mutant]:
    """The mutants of some numbers, in the one drawn order of all places."""
    sources = {name: (ROOT / "mmsrnas" / name).read_text() for name in TESTS}
    places = [
        (name, index)
        for name, text in sources.items()
        for index, _ in enumerate(sites(ast.parse(text)))
    ]
    random.Random(SEED).shuffle(places)
    for number in numbers:
        name, index = places[number]
        tree = ast.parse(sources[name])
        node: Any = list(sites(tree))[index]
        lines, done = _lines(tree, node), change(node)
        code = compile(ast.fix_missing_locations(tree), str(ROOT / "mmsrnas" / name), "exec")
        yield Mutant(number, name, lines, done, code)


def in_fork(work: Callable[[], Any], cpu_seconds: float = 0.0) -> Any:
    """What a function returns in a fork of this process; None where a signal ends it.

    Args:
        work: The function.
        cpu_seconds: CPU time after which a signal does; 0 is any.

    Raises:
        RuntimeError: It failed.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        error = os.dup(2)
        try:
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            result = pickle.dumps(work())
            with os.fdopen(write, "wb") as pipe:
                pipe.write(result)
        except BaseException:
            os.dup2(error, 2)
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return None
    if status:
        raise RuntimeError("a fork failed")
    return pickle.loads(content)


class Judge:
    """Plugin that runs the collected tests on mutants, in place of running them.

    Args:
        mutants: The mutants.
        note: Called with the row of each.
    """

    def __init__(self, mutants: list[Mutant], note: Callable[[dict[str, Any]], None]) -> None:
        self.mutants = mutants
        self.note = note
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remembers what fails."""
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Runs the tests once as they are, and on each mutant."""
        found = in_fork(lambda: self.lines(session.items))
        if not isinstance(found, dict):
            raise pytest.UsageError(f"tests fail on the code as it is: {found}")
        items = {item.nodeid: item for item in session.items}
        for mutant in self.mutants:
            runners, seconds = found[mutant.module]
            tests = sorted({test for line in mutant.lines for test in runners.get(line, ())},
                           key=seconds.__getitem__)  # fmt: skip
            limit = 10 + 3 * sum(seconds[test] for test in tests)
            start = time.monotonic()
            failed = in_fork(lambda m=mutant, t=tests: self.judged(m, [items[i] for i in t]), limit)
            first = "no end" if failed is None else failed
            what = (mutant.number, mutant.module, mutant.lines[0], mutant.change)
            row = (*what, first, len(tests), round(time.monotonic() - start, 1))
            self.note(dict(zip(COLUMNS, row, strict=True)))
        return True

    def lines(self, items: list[pytest.Item]) -> dict[str, Any] | list[str]:
        """For each module the tests that run each line, and how long they take, or what fails."""
        modules = {m.module: str(ROOT / "mmsrnas" / m.module) for m in self.mutants}
        tracer = coverage.Coverage(
            data_file=None, config_file=False, include=list(modules.values())
        )
        tracer.start()
        seconds = {}
        for item, following in itertools.zip_longest(items, items[1:]):
            tracer.switch_context(item.nodeid)
            start = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            seconds[item.nodeid] = time.process_time() - start
        tracer.stop()
        if self.failed:
            return self.failed
        data = tracer.get_data()
        return {
            name: (
                {n: [i for i in tests if i] for n, tests in data.contexts_by_lineno(path).items()},
                seconds,
            )
            for name, path in modules.items()
        }

    def judged(self, mutant: Mutant, items: list[pytest.Item]) -> str:
        """The first test that fails on a mutant, or nothing."""
        mutant.install()
        for item, following in itertools.zip_longest(items, items[1:]):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return self.failed[0]
        return ""


def main() -> None:
    """Draws mutants, runs the tests on them and writes a row for each."""
    parser = argparse.ArgumentParser(description="Count the changes of the code that tests find")
    parser.add_argument("--count", type=int, default=100, help="the first ones")
    parser.add_argument("--number", type=int, nargs="+", help="these instead")
    parser.add_argument("--out", type=Path, help="CSV file; its mutants are not run again")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if args.out and args.out.is_file():
        with args.out.open(newline="") as file:
            rows = list(csv.DictReader(file))
    known = {int(row["number"]) for row in rows}
    drawn = list(mutants([n for n in args.number or range(args.count) if n not in known]))

    def note(row: dict[str, Any]) -> None:
        rows.append(row)
        print(*row.values(), sep=", ", flush=True)
        if args.out:
            append_row(args.out, row, COLUMNS)

    if drawn:
        files = sorted({f"tests/{name}" for m in drawn for name in TESTS[m.module]})
        os.chdir(ROOT)
        status = pytest.main(["-qs", "-p", "no:cacheprovider", *files], [Judge(drawn, note)])
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            sys.exit(status)
    found = sum(bool(row["found by"]) for row in rows)
    print(f"{found} of {len(rows)} mutants were found")


if __name__ == "__main__":
    main()
