"""Every claim about the cost of a search step, as a ratio to its reference in the same run.

    python benchmarks/bench.py --out bench.json            # counts, and CPU time of one thread
    python benchmarks/bench.py --counts                    # counts alone, within a minute

Counted are what a step computes (floating-point operations of convolutions and matrix products,
calls of the convolution), and the bytes that its forward passes keep for the backward pass. Counts
are the same on every machine: where they differ from ``baseline.json``, the program ends with
status 1, and ``--update`` accepts them. CPU times are reported beside those of the baseline, never
judged. The references are those of ``dlsr_search_step.py``, ``hinas_search.py``, ``drc_search.py``
and ``hnas_search.py``, which also check that results are equal.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drc_search
import hinas_search
import hnas_search
import torch
from dlsr_search_step import SearchStep, reference_evaluation
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from mmsrnas.files import atomic_write
from mmsrnas.models import DLSRSupernet, HiNASSupernet

BASELINE = Path(__file__).with_name("baseline.json")
Work = Callable[[], object]


@dataclass(frozen=True)
class Claim:
    """Two ways to the same result.

    Attributes:
        name: Of the step.
        reference: The released way.
        ours: The way of this package.
    """

    name: str
    reference: Work
    ours: Work


def claims(full: bool) -> Iterator[Claim]:
    """The claims, at the size of the published times or at a small one, which counts as well.

    Args:
        full: Whether the size is that of the times.
    """
    torch.manual_seed(0)
    yield from _dlsr(full)
    yield from _hinas(full)
    yield from _drc(full)
    yield from _hnas(full)


def _dlsr(full: bool) -> Iterator[Claim]:
    channels, batch = (48, 4) if full else (8, 1)
    step = SearchStep(DLSRSupernet(mid_channels=channels), batch, torch.float)

    def by_definition(work: Callable[[bool], None]) -> Work:
        def run() -> None:
            with reference_evaluation(step.net):
                work(True)

        return run

    for name, work in (("weight step", step.weight_step), ("architecture step", step.arch_step)):
        yield Claim(f"DLSR, {name}", by_definition(work), lambda work=work: work(False))


def _hinas(full: bool) -> Iterator[Claim]:
    for task, (options, size) in hinas_search.TASKS.items():
        shape = size if full else (1, size[1], 16, 16)
        x, options = torch.rand(shape), options | {"in_channels": size[1], "variant": "official"}
        if not full:
            options |= {"mid_channels": 2}
        nets = {
            key: HiNASSupernet(**options, **hinas_search.VARIANTS[key])
            for key in ("reference", "default")
        }
        reference, ours = (_hinas_step(net, x, key == "reference") for key, net in nets.items())
        yield Claim(f"HiNAS {task}, step", reference, ours)


def _hinas_step(net: HiNASSupernet, x: torch.Tensor, reference: bool) -> Work:
    return lambda: hinas_search.search_step(net, x, reference)


def _drc(full: bool) -> Iterator[Claim]:
    size = (30, 16, 96, 1) if full else (1, 8, 32, 1)
    search = drc_search.Search(*size, torch.float)

    def step(reference: bool) -> Work:
        def run() -> None:
            search.be_reference(reference)
            search.step(reference)

        return run

    yield Claim("DRC, search step", step(True), step(False))


def _hnas(full: bool) -> Iterator[Claim]:
    batch, size = (16, 48) if full else (4, 12)
    steps = hnas_search.Steps(batch, size)
    space = steps.net.space
    rows = space.random(2, torch.Generator().manual_seed(0))
    genotypes = [space.decode(row) for row in rows]

    def each(work: Callable[[Any], None]) -> Work:
        return lambda: [work(genotype) for genotype in genotypes]

    for images, name in ((batch, "as many patches"), (batch // 4, "a quarter of the patches")):
        yield Claim(
            f"HNAS, policy step on {name}",
            each(steps.reference_policy),
            lambda images=images: steps.policy(genotypes, images),
        )
    yield Claim(
        "HNAS, training step",
        each(lambda genotype: steps.train(steps.reference, genotype)),
        each(lambda genotype: steps.train(steps.net, genotype)),
    )


class _Calls(TorchDispatchMode):
    """Counts calls of the convolution, forward and backward."""

    convolutions = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.convolutions += "convolution" in func.name()
        return func(*args, **(kwargs or {}))


def counts(work: Work) -> dict[str, int]:
    """What some work computes and keeps.

    Args:
        work: Forward and backward passes.

    Returns:
        ``flops``, ``convolutions`` (calls, backward ones included) and ``kept_bytes``.
    """
    storages: dict[int, int] = {}
    alive: list[torch.Tensor] = []  # or a later tensor would take the place of an earlier one

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if not isinstance(tensor, torch.nn.Parameter) and storage.data_ptr() not in storages:
            storages[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    calls, counter = _Calls(), FlopCounterMode(display=False)
    with calls, counter, saved_tensors_hooks(pack, lambda tensor: tensor):
        work()
    return {
        "flops": counter.get_total_flops(),
        "convolutions": calls.convolutions,
        "kept_bytes": sum(storages.values()),
    }


def cpu_seconds(claim: Claim, turns: int) -> dict[str, float]:
    """Least CPU time of both ways, in turns that alternate, after one that does not count."""
    times: dict[str, list[float]] = {"reference": [], "ours": []}
    for _ in range(turns + 1):
        for name in times:
            start = time.process_time()
            getattr(claim, name)()
            times[name].append(time.process_time() - start)
    return {name: min(values[1:]) for name, values in times.items()}


def measure(turns: int) -> dict[str, Any]:
    """All counts, and where ``turns`` is not 0, all times."""
    torch.set_num_threads(1)
    result: dict[str, Any] = {"torch": torch.__version__.split("+")[0], "counts": {}, "seconds": {}}
    for claim in claims(full=False):
        ways = {name: counts(getattr(claim, name)) for name in ("reference", "ours")}
        result["counts"][claim.name] = ways
    for claim in claims(full=True) if turns else ():
        result["seconds"][claim.name] = cpu_seconds(claim, turns)
    return result


def differences(baseline: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Counts that are not those of the baseline.

    Args:
        baseline: Content of ``baseline.json``.
        found: What :func:`measure` returned.

    Returns:
        One line per difference.
    """
    lines = []
    for name in baseline["counts"].keys() | found["counts"].keys():
        for way in ("reference", "ours"):
            old, new = (part["counts"].get(name, {}).get(way, {}) for part in (baseline, found))
            lines += [
                f"{name}, {way}: {old.get(key)} {key} in the baseline, {new.get(key)} now"
                for key in sorted(old.keys() | new.keys())
                if old.get(key) != new.get(key)
            ]
    return sorted(lines)


def print_ratios(found: dict[str, Any], baseline: dict[str, Any]) -> None:
    """Prints one line per claim: reference over ours."""
    for name, ways in found["counts"].items():
        row = ", ".join(
            f"{key} {ways['reference'][key] / max(1, ways['ours'][key]):.2f}x"
            for key in ways["ours"]
        )
        if times := found["seconds"].get(name):
            row += f", CPU time {times['reference'] / times['ours']:.2f}x"
        if old := baseline["seconds"].get(name):
            row += f" ({old['reference'] / old['ours']:.2f}x in the baseline)"
        print(f"{name}: {row}")


def main() -> None:
    """Measures, prints, compares, and writes."""
    parser = argparse.ArgumentParser(description="Costs of search steps against their references")
    parser.add_argument("--counts", action="store_true", help="no CPU times")
    parser.add_argument("--turns", type=int, default=3, help="timed turns of each claim")
    parser.add_argument("--out", type=Path, help="file for all numbers (.json)")
    parser.add_argument("--update", action="store_true", help="write baseline.json anew")
    args = parser.parse_args()
    baseline = json.loads(BASELINE.read_text()) if BASELINE.is_file() else {}
    baseline = {"counts": {}, "seconds": {}} | baseline
    found = measure(0 if args.counts else args.turns)
    print_ratios(found, baseline)
    if args.update:
        found["seconds"] = found["seconds"] or baseline["seconds"]
    for path in filter(None, (args.out, BASELINE if args.update else None)):
        with atomic_write(path) as partial:
            partial.write_text(json.dumps(found, indent=1) + "\n")
    if not args.update and (lines := differences(baseline, found)):
        print("\n".join(lines))
        raise SystemExit("The counts are not those of baseline.json: --update accepts them.")


if __name__ == "__main__":
    main()
