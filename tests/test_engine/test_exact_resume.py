"""A search that is killed and resumed ends as the uninterrupted one does, to the bit."""

import os
import random
import signal

import numpy as np
import pytest
import tiny_search
import torch

from mmsrnas.datasets import PairedImageDataset
from mmsrnas.engine.hooks.exact_resume_hook import _WithoutReplay, repair_last_checkpoint
from mmsrnas.genotypes import load_genotype

ITERS = 14
HOOKS = [
    {"type": "mmsrnas.GenotypeHook"},
    {"type": "mmsrnas.SearchEarlyStopHook", "interval": 4, "patience": 100},
]

DEFAULTS = {
    "iters": ITERS,
    "save_interval": 4,
    "val_interval": 4,
    "hooks": HOOKS,
    # Draws from the random state of the main process, whatever the workers do.
    "supernet": {"dropout": 0.1},
}


def search(images, run, kill=None, **options):
    """Searches to the end, or until a moment at which it is killed."""
    options = DEFAULTS | options
    hooks = [*options["hooks"], *([{"type": "mmsrnas.KillHook", **kill}] if kill else [])]
    runner = tiny_search.runner(images, run=run, **options | {"hooks": hooks})
    tiny_search.killed(runner.train) if kill else runner.train()


def drawn_kill(rng, first, last):
    """A moment between two iterations, before or after the other hooks."""
    iteration = rng.randint(first, last)
    moments = ["before_train_iter", "after_train_iter"]
    if iteration % 4 == 0:
        moments += ["before_val", "after_val_epoch"]
    elif iteration % 4 == 3:  # the hook saves before the iteration counts
        moments += ["before_save_checkpoint"]
    priority = rng.choice(["VERY_HIGH", "VERY_LOW"])
    return {"iteration": iteration, "moment": rng.choice(moments), "priority": priority}


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


@pytest.mark.parametrize(
    ("mode", "workers", "seed"),
    [("mixed", (0, 2, 0), 0), ("bilevel", (1, 0, 1), 1)],
    ids=["mixed", "bilevel"],
)
def test_killed_at_drawn_moments(images, mode, workers, seed):
    """Each part has its number of worker processes; they change nothing."""
    rng = random.Random(seed)
    options = {"arch": {"mode": mode, "warmup_iters": 3}}
    whole, killed = f"whole_{mode}", f"killed_{mode}"
    search(images, whole, **options)
    search(images, killed, drawn_kill(rng, 5, 8), workers=workers[0], **options)
    kill = drawn_kill(rng, 9, 12)
    search(images, killed, kill, workers=workers[1], resume=True, **options)
    search(images, killed, workers=workers[2], resume=True, **options)
    assert_identical(load(images, killed), load(images, whole))


@pytest.fixture(scope="module")
def whole(images):
    """How the search ends that nothing interrupts."""
    search(images, "whole")
    return load(images, "whole")


@pytest.mark.cpu
def test_killed_while_running_and_while_saving(images, whole):
    """A real kill; then the last checkpoint is cut off: the one before it takes over."""
    pid = os.fork()
    if pid == 0:
        kill = {"iteration": 9, "moment": "after_train_iter", "really": True}
        try:
            search(images, "cut", kill, workers=1)
        finally:
            os._exit(0)  # whatever happens, it does not run the other tests
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    last = images / "cut" / "iter_8.pth"
    last.write_bytes(last.read_bytes()[:-1000])
    search(images, "cut", resume=True)
    assert_identical(load(images, "cut"), whole)


@pytest.mark.parametrize("iteration", [8, ITERS])
def test_killed_in_validation(images, whole, iteration):
    """The checkpoint of that iteration is written already; its validation is made up for."""
    run = f"validation_{iteration}"
    search(images, run, {"iteration": iteration, "moment": "before_val"})
    search(images, run, resume=True)
    assert_identical(load(images, run), whole)


def test_mmengine_alone_is_not_exact(images):
    """The control: without the hook the random state is another one after resuming."""
    options = {"hooks": [], "exact": False, "val_interval": None}
    search(images, "alone", **options)
    work_dir = images / "alone"
    expected = torch.load(work_dir / f"iter_{ITERS}.pth", weights_only=True)["state_dict"]
    (work_dir / "last_checkpoint").write_text(str(work_dir / "iter_8.pth"))
    search(images, "alone", resume=True, **options)
    found = torch.load(work_dir / f"iter_{ITERS}.pth", weights_only=True)["state_dict"]
    assert not torch.equal(found["generator.alpha"], expected["generator.alpha"])


def test_the_seed_is_that_of_the_checkpoint(images):
    options = {"val_interval": None, "iters": 6}
    search(images, "seed", **options, randomness={"seed": 7})
    expected = torch.load(images / "seed/iter_6.pth", weights_only=True)["state_dict"]
    (images / "seed/last_checkpoint").write_text(str(images / "seed/iter_4.pth"))
    search(images, "seed", **options, randomness={"seed": 8}, resume=True)
    found = torch.load(images / "seed/iter_6.pth", weights_only=True)["state_dict"]
    assert_identical(dict(found), dict(expected))


def test_other_data_are_reported(images):
    options = {"iters": 3, "log_level": "WARNING", "save_interval": 2}
    tiny_search.runner(images, run="data", **options).train()
    data = tiny_search.dataloader(images, (0, 6), batch_size=3)
    options |= {"train_dataloader": data, "resume": True}
    tiny_search.runner(images, run="data", **options | {"iters": 4}).train()
    log = max((images / "data").glob("*/*.log")).read_text()
    assert "made with 8 images, this run has 6" in log
    assert "made with 2 images per iteration, this run has 3" in log


@pytest.mark.parametrize("done", [2_000, 20_000])
def test_resume_loads_nothing_of_the_past(images, monkeypatch, done):
    """Not one image of the batches before the checkpoint, of either dataloader."""
    run = f"past_{done}"
    search(images, run, iters=2, save_interval=2, val_interval=None)
    path = images / run / "iter_2.pth"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["meta"]["iter"] = checkpoint["arch_optimizer"]["steps"] = done
    torch.save(checkpoint, path.with_name(f"iter_{done}.pth"))
    (images / run / "last_checkpoint").write_text(f"iter_{done}.pth")
    loaded, load_image = [], PairedImageDataset.__getitem__
    monkeypatch.setattr(
        PairedImageDataset,
        "__getitem__",
        lambda data, index: loaded.append(index) or load_image(data, index),
    )
    search(images, run, iters=done + 3, val_interval=None, resume=True)
    assert len(loaded) == 3 * 2 * 2  # iterations, images in a batch, dataloaders


@pytest.mark.parametrize(
    "ask", [lambda stream: [next(stream) for _ in range(3)], lambda stream: stream.skip_iter(3)]
)
def test_a_loop_that_asks_for_its_past_gets_nothing(ask):
    """By single batches, or in one call as the loop of onedl-mmengine does."""
    stream = _WithoutReplay(iter(range(5)), 3)
    ask(stream)
    assert [next(stream) for _ in range(2)] == [0, 1]


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
