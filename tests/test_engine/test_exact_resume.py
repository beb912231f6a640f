"""A search that is killed and resumed ends as the uninterrupted one does, to the bit."""

import os
import random
import re
import signal
import time

import numpy as np
import pytest
import tiny_search
import torch

from mmsrnas.engine.hooks.exact_resume_hook import (
    _random_state,
    _ResumedBatches,
    _set_random_state,
    repair_last_checkpoint,
)
from mmsrnas.genotypes import load_genotype

ITERS = 14
HOOKS = [
    {"type": "mmsrnas.GenotypeHook"},
    {"type": "mmsrnas.SearchEarlyStopHook", "interval": 4, "patience": 100},
]

DEFAULTS = {
    "iters": ITERS,
    "save_interval": 4,
    "val_interval": 6,
    "hooks": HOOKS,
    # Draws from the random state of the main process, whatever the workers do.
    "supernet": {"dropout": 0.1},
}


def search(start, images, run, kill_at=None, **options):
    """Searches in a process of its own, to the end or until it is killed after an iteration."""
    process = start(tiny_search.search, images, run=run, **DEFAULTS | options)
    if kill_at is None:
        process.join()
        assert process.exitcode == 0
        return
    while last_iteration(images / run) < kill_at:
        assert process.is_alive(), "the search ended before it could be killed"
        time.sleep(0.002)
    time.sleep(random.uniform(0, 0.05))
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def last_iteration(work_dir):
    """The last iteration in the log of the last start."""
    logs = sorted(work_dir.glob("*/vis_data/scalars.json"))
    steps = re.findall(r'"step": (\d+)', logs[-1].read_text()) if logs else []
    return int(steps[-1]) if steps else 0


def load(images, run):
    checkpoint = torch.load(images / run / f"iter_{ITERS}.pth", weights_only=True)
    hub = checkpoint.pop("message_hub")
    history = hub["log_scalars"].items()
    checkpoint["history"] = {k: v for k, v in history if not k.endswith("time")}
    checkpoint["best"] = hub["runtime_info"]["best_score"]
    checkpoint["meta"] = {k: checkpoint["meta"][k] for k in ("iter", "seed")}
    checkpoint["genotype"] = load_genotype(images / run / "genotype.json").to_dict()
    return checkpoint


def assert_identical(a, b, name=""):
    assert type(a) is type(b), name
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and torch.equal(a, b), name
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b, err_msg=name)
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), name
        for key in a:
            assert_identical(a[key], b[key], f"{name}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), name
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_identical(x, y, f"{name}.{i}")
    else:
        assert a == b, name


@pytest.mark.parametrize(("workers", "mode"), [(0, "mixed"), (1, "bilevel")])
def test_killed_at_random_moments(start, images, workers, mode):
    options = {"workers": workers, "arch": {"mode": mode, "warmup_iters": 3}}
    options["val_interval"] = 4  # as often as a checkpoint is saved
    whole, killed = f"whole_{mode}", f"killed_{mode}"
    search(start, images, whole, **options)
    search(start, images, killed, kill_at=random.randint(5, 7), **options)
    search(start, images, killed, kill_at=random.randint(9, 11), resume=True, **options)
    search(start, images, killed, resume=True, **options)
    assert_identical(load(images, killed), load(images, whole))


def test_killed_while_saving(start, images):
    """The last checkpoint is cut off, as a kill leaves it: the one before it takes over."""
    search(start, images, "cut", workers=1)
    expected = load(images, "cut")
    last = images / "cut" / f"iter_{ITERS}.pth"
    last.write_bytes(last.read_bytes()[:-1000])
    search(start, images, "cut", workers=1, resume=True)
    assert_identical(load(images, "cut"), expected)


@pytest.mark.parametrize("iteration", [8, ITERS])
def test_killed_in_validation(start, images, iteration):
    """The checkpoint of that iteration is written already; its validation is made up for."""
    run, options = f"validation_{iteration}", {"val_interval": 4}
    search(start, images, f"whole_{iteration}", **options)
    kill = {"type": "mmsrnas.KillInValidation", "iteration": iteration}
    process = start(
        tiny_search.search, images, run=run, **DEFAULTS | options | {"hooks": [*HOOKS, kill]}
    )
    process.join()
    assert process.exitcode == -signal.SIGKILL
    search(start, images, run, resume=True, **options)
    assert_identical(load(images, run), load(images, f"whole_{iteration}"))


def test_mmengine_alone_is_not_exact(start, images):
    """The control: without the hook the random state is another one after resuming."""
    options = {"hooks": [], "exact": False, "val_interval": None}
    search(start, images, "alone", **options)
    work_dir = images / "alone"
    expected = torch.load(work_dir / f"iter_{ITERS}.pth", weights_only=True)["state_dict"]
    (work_dir / "last_checkpoint").write_text(str(work_dir / "iter_8.pth"))
    search(start, images, "alone", resume=True, **options)
    found = torch.load(work_dir / f"iter_{ITERS}.pth", weights_only=True)["state_dict"]
    assert not torch.equal(found["generator.alpha"], expected["generator.alpha"])


def test_other_seed_is_reported(images):
    options = {"run": "seeds", "log_level": "WARNING"}
    tiny_search.runner(images, iters=2, randomness={"seed": 7}, **options).train()
    tiny_search.runner(images, iters=3, randomness={"seed": 8}, resume=True, **options).train()
    log = max((images / "seeds").glob("*/*.log")).read_text()
    assert "randomness=dict(seed=7)" in log


def test_loop_by_epochs_is_refused(images):
    loop = {"type": "EpochBasedTrainLoop", "max_epochs": 1}
    with pytest.raises(TypeError, match="needs an IterBasedTrainLoop, got EpochBasedTrainLoop"):
        tiny_search.runner(images, train_cfg=loop).train()


def save(path):
    torch.save({"state_dict": {"weight": torch.zeros(1)}, "meta": {"iter": 1}}, path)
    return path


@pytest.mark.parametrize("content", [b"", b"\0" * 40, "iter_4".encode("utf-16"), None])
def test_pointer_is_repaired(tmp_path, content):
    save(tmp_path / "iter_4.pth")
    newest = save(tmp_path / "iter_20.pth")
    pointer = tmp_path / "last_checkpoint"
    pointer.mkdir() if content is None else pointer.write_bytes(content)
    repair_last_checkpoint(tmp_path)
    assert pointer.read_text() == str(newest)


def test_right_pointer_is_left_alone(tmp_path):
    older = save(tmp_path / "iter_4.pth")
    save(tmp_path / "iter_20.pth")
    pointer = tmp_path / "last_checkpoint"
    pointer.write_text(str(older))
    repair_last_checkpoint(tmp_path)
    assert pointer.read_text() == str(older)


def test_nothing_whole_starts_over(tmp_path):
    (tmp_path / "iter_4.pth").write_bytes(b"PK")
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "iter_4.pth"))
    repair_last_checkpoint(tmp_path)
    assert not (tmp_path / "last_checkpoint").exists()


def test_random_state_survives_safe_loading(tmp_path):
    def draw():
        return random.random(), np.random.rand(), np.random.randn(), torch.rand(1).item()

    np.random.randn()  # leaves a cached second Gaussian
    torch.save(_random_state(), tmp_path / "state.pth")
    expected = draw()
    assert draw() != expected
    _set_random_state(torch.load(tmp_path / "state.pth", weights_only=True))
    assert draw() == expected


def test_a_loop_that_skips_the_past_fetches_it():
    """As onedl-mmengine's loop does; worker processes must draw their random numbers again."""
    torch.manual_seed(0)
    state, expected = _random_state(), torch.rand(1)
    batches = _ResumedBatches(iter(range(10)), 3, state)
    batches.skip_iter(3)
    torch.manual_seed(7)
    assert next(batches) == 3
    assert torch.equal(torch.rand(1), expected)
    assert list(batches) == [4, 5, 6, 7, 8, 9]
