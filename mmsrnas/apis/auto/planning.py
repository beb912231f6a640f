"""From photographs, a budget and hours to a folder of ordinary configs."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmsrnas.apis.photographs import inspect_photographs, prepare_pairs, split
from mmsrnas.files import atomic_write
from mmsrnas.latency.runtimes.torch_runtime import torch_threads
from mmsrnas.registry import MODELS

from . import configs, dlsr, elastic
from .budget import Budget
from .handmade import handmade_networks
from .search import inherited_of

__all__ = ["METHODS", "TASKS", "Plan", "plan"]

METHODS: dict[str, ModuleType] = {"elastic": elastic, "dlsr": dlsr}
"""What plans a search, and derives the network, by method."""
TASKS = ("sr", "denoise")
SCALES = (2, 3, 4)
SHARE = 0.81
"""Share of the time for search, network, control and hand-made networks, in equal parts; the rest
is for trials and tests."""
SIZES = ("num_convs", "num_blocks", "mid_channels")
LR = 2e-3
TIMED_STEPS = 7
TRIED_STEPS = 3
"""Steps with each number of threads."""
MIN_ITERS = 4


@dataclass(frozen=True)
class Plan:
    """A planned search.

    Attributes:
        folder: Folder of the plan: ``data``, ``configs`` and ``plan.json``.
        made_of: What was asked for.
        crops: Number of crops by part of the photographs.
        space: What is searched, in words.
        models: Config of the editor of each training.
        iters: Iterations of each training.
        seconds: Expected duration of each training.
        threads: Threads of the CPU with which the trainings are fastest here.
        inspection: What the photographs are.
    """

    folder: Path
    made_of: dict[str, Any]
    crops: dict[str, int]
    space: str
    models: dict[str, dict[str, Any]]
    iters: dict[str, int]
    seconds: dict[str, float]
    threads: int
    inspection: str

    @property
    def method(self) -> ModuleType:
        """The method of the search."""
        return METHODS[self.made_of["method"]]

    @property
    def scale(self) -> int:
        """Ratio of HR to LR size, 1 for denoising."""
        return self.made_of["scale"]

    @property
    def handmade(self) -> list[str]:
        """Names of the hand-made networks, brought to the budget."""
        return [name for name in self.models if name not in ("search", *self.method.TRAININGS)]

    @property
    def genotype(self) -> Path:
        """File of the genotype that is derived."""
        return self.folder / "genotype.json"

    @property
    def control(self) -> Path:
        """File of the genotype of a random network of the same cost, where one was asked for."""
        return self.folder / "random.json"

    def config(self, name: str) -> Path:
        """Path of a config, e.g. ``'search'`` or ``'train'``."""
        return self.folder / "configs" / f"{name}.py"

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-serialisable data."""
        return asdict(self) | {"folder": str(self.folder)}

    def __str__(self) -> str:
        crops = ", ".join(f"{count} {part}" for part, count in self.crops.items())
        stages = ", ".join(
            f"{name} {self.iters[name]} iterations ({seconds / 60:.1f} min)"
            for name, seconds in self.seconds.items()
        )
        handmade = ", ".join(map(self.label, self.handmade))
        return (
            f"{self.inspection}\nCrops: {crops}.\n"
            f"Budget: {self.made_of['budget']}. Search, {self.made_of['method']}: {self.space}.\n"
            f"Hand-made networks of this cost: {handmade}.\n"
            f"Trainings, threads of the CPU: {self.threads}: {stages}."
            + (" A random network is trained like the one that is found." * self.made_of["control"])
        )

    def label(self, name: str) -> str:
        """Name of a hand-made network with its depth and width."""
        generator = self.models[name]["generator"]
        sizes = {key: value for key, value in generator.items() if key in SIZES}
        return f"{name} ({', '.join(f'{key} {value}' for key, value in sizes.items())})"


def plan(
    photos: str | Path,
    out: str | Path,
    budget: Budget,
    task: str = "sr",
    scale: int = 2,
    method: str = "elastic",
    hours: float = 1.0,
    sigma: float = 25.0,
    seed: int = 0,
    control: bool = False,
    progress: bool = False,
) -> Plan:
    """Looks at photographs, splits and cuts them, and writes the configs of a search.

    The time of an iteration is measured, so that the trainings take about ``hours`` on this
    machine. The configs are ordinary ones, to be edited: one that is there already is kept.

    Args:
        photos: Folder of photographs.
        out: Folder of the plan.
        budget: The most that the network may cost.
        task: ``'sr'`` or ``'denoise'``.
        scale: Ratio of HR to LR size, for ``'sr'``.
        method: Method of the search.
        hours: Time of all trainings together.
        sigma: Standard deviation of the noise in 0..255, for ``'denoise'``.
        seed: Of the split and of the trainings.
        control: Train a random network of the space and cost too, and all hand-made networks.
        progress: Show bars.

    Raises:
        FileNotFoundError: There is no photograph.
        ValueError: Too few photographs, an argument that has no meaning, a budget that no network
            meets, or a folder that holds another plan.
    """
    _check(task, scale, method, hours, sigma, control)
    scale = scale if task == "sr" else 1
    made_of = dict(
        photos=str(Path(photos).resolve()), budget=str(budget), task=task, scale=scale,
        method=method, hours=hours, sigma=sigma if task == "denoise" else None, seed=seed,
        control=control,
    )  # fmt: skip
    out = Path(out)
    init_default_scope("mmagic")
    made = _stored(out, made_of) or _made(out, made_of, budget, progress)
    _write_configs(made)
    return made


def _check(task: str, scale: int, method: str, hours: float, sigma: float, control: bool) -> None:
    for option, value, known in (
        ("--method", method, tuple(METHODS)),
        ("--task", task, TASKS),
        ("--scale", scale, SCALES),
    ):
        if value not in known:
            expected = ", ".join(map(str, known))
            raise ValueError(f"{option}: expected one of {expected}, got {value!r}.")
    if task == "denoise" and method != "elastic":
        raise ValueError(f"--task denoise: only --method elastic has it, got {method!r}.")
    if control and method != "elastic":
        raise ValueError(f"--control: only --method elastic has it, got {method!r}.")
    if not hours > 0:
        raise ValueError(f"--hours: expected a positive number, got {hours}.")
    if not 0 < sigma <= 255:
        raise ValueError(f"--sigma: expected a number in (0, 255], got {sigma}.")


def _stored(out: Path, made_of: dict[str, Any]) -> Plan | None:
    """The plan that a folder holds, None where it holds none.

    Raises:
        ValueError: It is another one.
    """
    known = out / "plan.json"
    if not known.is_file():
        return None
    stored = json.loads(known.read_text())
    for key, value in made_of.items():
        if stored["made_of"].get(key) != value:
            raise ValueError(
                f"--out: '{out}' holds a plan whose {key} is {stored['made_of'].get(key)!r}, not "
                f"{value!r}. Take another folder."
            )
    return Plan(**stored | {"folder": out})


def _made(out: Path, made_of: dict[str, Any], budget: Budget, progress: bool) -> Plan:
    """Looks at the photographs and measures; writes data and ``plan.json``."""
    scale, seed = made_of["scale"], made_of["seed"]
    method = METHODS[made_of["method"]]
    inspection = inspect_photographs(made_of["photos"], configs.LR_PATCH * max(2, scale), progress)
    search = method.plan_search(budget, scale, seed)
    handmade = handmade_networks(budget, scale)
    parts = split(inspection.groups, seed)
    crops = prepare_pairs(made_of["photos"], parts, out / "data", scale)
    generators: dict[str, Any] = dict.fromkeys(method.TRAININGS, search.network)
    generators |= handmade
    models = {"search": search.model} | {k: _single(g) for k, g in generators.items()}
    made = Plan(out, made_of, crops, search.description, models, {}, {}, 0, str(inspection))
    threads, rates = _fastest(models, _data(made)["train_dataloader"])
    parts = 3 + len(handmade) if made_of["control"] else 3
    each = SHARE / parts * made_of["hours"] * 3600
    iters = {name: max(MIN_ITERS, int(each / rate)) for name, rate in rates.items()}
    seconds = {name: iters[name] * rate for name, rate in rates.items()}
    made = replace(made, iters=iters, seconds=seconds, threads=threads)
    with atomic_write(out / "plan.json") as path:
        path.write_text(json.dumps(made.to_dict(), indent=2))
    return made


def _single(generator: dict[str, Any]) -> dict[str, Any]:
    return dict(type="BaseEditModel", generator=generator)


def _data(plan: Plan) -> configs.Values:
    prefix = Path(plan.made_of["photos"]).name
    judges, sigma = plan.crops["architecture"], plan.made_of["sigma"]
    return configs.data(plan.folder / "data", plan.scale, sigma, prefix, judges)


def _fastest(
    models: dict[str, dict[str, Any]], loader: dict[str, Any]
) -> tuple[int, dict[str, float]]:
    """With how many threads a step of all is fastest, and the time of a step of each.

    Small networks gain little from threads, and lose much where other programs run.
    """
    steps = {name: _step_of(model, loader) for name, model in models.items()}
    most = torch.get_num_threads()
    on_cpu = get_device() == "cpu"
    counts = sorted({1, max(1, most // 4), max(1, most // 2), most}) if on_cpu else [most]
    tried = {}
    for count in counts:
        with torch_threads(count):
            tried[count] = sum(_seconds_per_step(steps, TRIED_STEPS).values())
    best = min(tried, key=lambda count: tried[count])
    with torch_threads(best):
        return best, _seconds_per_step(steps, TIMED_STEPS)


def _step_of(model: dict[str, Any], loader: dict[str, Any]) -> Callable[[], Any]:
    """A step of a training with all that belongs to it."""
    editor: Any = MODELS.build(configs.editor(model)).train().to(get_device())
    wrapper: Any = build_optim_wrapper(editor, configs.optimizer(model["generator"], LR))
    batches = iter(Runner.build_dataloader(dict(loader), seed=0))

    def step() -> None:
        log = editor.train_step(next(batches), wrapper)
        log["loss"].item()  # a GPU has done the step when its loss is here

    return step


def _seconds_per_step(steps: dict[str, Callable[[], Any]], count: int) -> dict[str, float]:
    """Time of each, measured in turns, so that what else the machine does meets all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(count):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(found[1:]) for name, found in seconds.items()}


def _write_configs(plan: Plan) -> None:
    """Writes the configs that are not there yet."""
    folder, seed, method = plan.folder / "configs", plan.made_of["seed"], plan.method
    folder.mkdir(parents=True, exist_ok=True)
    data = _data(plan)
    comment = "Checkpoints, logs and the checks of a run."
    configs.write_config(folder / "runtime.py", comment, configs.runtime())
    comment = f"Three parts of '{Path(plan.made_of['photos']).name}', split by photograph."
    configs.write_config(folder / "data.py", comment, data)
    for name, model in plan.models.items():
        model, lr, change = dict(model), LR, {}
        if name == "search":
            comment = f"Searches: {plan.space}."
        elif name in method.TRAININGS:
            genotype = str(plan.genotype.resolve())
            model["generator"] = model["generator"] | {"genotype": genotype}
            comment = "Trains the network that was found, from scratch."
            if name == "finetune":
                comment = "Goes on from the shared weights of the network that was found."
                lr, change = LR / 2, {"load_from": str(inherited_of(plan.genotype).resolve())}
        else:
            comment = "Trains a hand-made network of the same cost, which the search has to beat."
        values = configs.training(model, plan.iters[name], lr, seed) | change
        if name == "search":
            values = configs.path_search(values)
        configs.write_config(plan.config(name), comment, values)
