"""Two processes with half a batch each search like one with the whole batch."""

import time

import pytest
import tiny_rl_search
import tiny_search
import torch
from test_sandwich_search import options as sandwich_options

from mmsrnas.engine.hooks.checkpoint_hook import AGREE_INTERVAL, RESUME_ME

pytestmark = pytest.mark.cpu

SGD = {"type": "SGD", "lr": 1.0}
COMPLEXITY = {"type": "mmsrnas.ComplexityLoss", "loss_weight": 0.01}
DLSR = {"type": "mmsrnas.DLSRSupernet", "mid_channels": 4, "num_cells": 3}
DRN = {"type": "mmsrnas.DRNNet", "upscale_factor": 2, "num_blocks": 1, "mid_channels": 8}


def gradient_search(batch_size, folder, supernet=None, **arch):
    """Options of a differentiable search, with augmentation."""
    loaders = []
    for images in ((0, 8), (8, 12)):
        loaders.append(tiny_search.dataloader(folder, images, batch_size=batch_size))
        if supernet:
            loaders[-1]["dataset"]["pipeline"][2]["gt_patch_size"] = 32
    return {
        "iters": 4,
        "train_dataloader": loaders[0],
        "supernet": supernet,
        "arch": {"optimizer": SGD, "dataloader": loaders[1], **arch},
        "optim_wrapper": {
            "constructor": "mmsrnas.SearchOptimWrapperConstructor",
            "optimizer": {"type": "SGD", "lr": 0.1},
        },
        "hooks": [{"type": "mmsrnas.GenotypeHook"}],
    }


def policy_search(batch_size, folder):
    """Options of a search by reinforcement learning; all processes score the same two patches."""
    wrapper = tiny_rl_search.config(folder)["optim_wrapper"]
    for part in ("weights", "policy"):
        wrapper[part]["optimizer"] = {"type": "SGD", "lr": 0.01}
    data = tiny_rl_search.dataloader(folder, (0, 8), batch_size=batch_size)
    return {
        "of": "tiny_rl_search",
        "iters": 6,
        "supernet": {"type": "mmsrnas.UnnormalisedHNASSupernet"},
        "loop": {"num_samples": 4, "num_references": 4},
        "optim_wrapper": wrapper,
        "train_dataloader": data,
    }


STRATEGIES = {
    "mixed": lambda batch, folder: gradient_search(
        batch, folder, DLSR, mode="mixed", complexity_loss=COMPLEXITY
    ),
    "bilevel": lambda batch, folder: gradient_search(
        batch, folder, mode="bilevel", complexity_loss=COMPLEXITY
    ),
    "second_order": lambda batch, folder: gradient_search(
        batch, folder, mode="bilevel", virtual_step={}
    ),
    "channels": lambda batch, folder: gradient_search(
        batch,
        folder,
        {"type": "mmsrnas.ChannelNumberSearch", "generator": DRN, "budget_share": 0.5},
        mode="bilevel",
        complexity_loss=COMPLEXITY,
    ),
    "policy": policy_search,
}
# Normalisations see the half of the batch that a process has: no equal of one process.
NORMALISED = {
    "hinas": {
        "iters": 3,
        "batch_size": 1,
        "supernet": {
            "type": "mmsrnas.HiNASSupernet",
            "upscale_factor": 2,
            "num_cells": 1,
            "num_nodes": 1,
            "mid_channels": 2,
            "width_multipliers": [1, 2],
            "with_cp": True,
        },
        "arch": {"mode": "bilevel"},
        "hooks": [{"type": "mmsrnas.GenotypeHook"}],
        "dtype": "float32",
    },
    "hnas": {"of": "tiny_rl_search", "workers": 1, "iters": 8, "dtype": "float32"},
}


def sandwich(batch_size):
    """Options of an elastic training, in the precision that its model was wrapped in."""
    return sandwich_options("SGD", iters=3, augment=False, batch_size=batch_size, dtype="float32")


def on_two(start, folder, runs):
    """Runs searches on two processes and returns how they ended."""
    (folder / "rendezvous").unlink(missing_ok=True)
    arguments = (str(folder), runs)
    processes = [start(tiny_search.search_on_two, rank, *arguments) for rank in range(2)]
    while all(process.is_alive() for process in processes):
        time.sleep(0.02)
    for process in processes:
        process.join(timeout=120 if process.exitcode is None else 5)
        process.kill()  # one that waits for the other, which was killed
    return [process.exitcode for process in processes]


@pytest.fixture(scope="module")
def pair(start, images):
    """What two processes ended with, for each search."""
    runs = {name: options(1, images) for name, options in STRATEGIES.items()} | NORMALISED
    runs["sandwich"] = sandwich(1) | {"wrapper": {"find_unused_parameters": True}}
    runs["selection"] = {"function": tiny_search.selected}
    assert on_two(start, images, runs) == [0, 0]
    return {name: [torch.load(images / f"{name}_{rank}.pth") for rank in range(2)] for name in runs}


@pytest.mark.parametrize("name", STRATEGIES)
def test_equals_one_process_with_the_double_batch(pair, images, name):
    runner = tiny_search.built(images, f"one_{name}", **STRATEGIES[name](2, images))
    calls = tiny_search.counted(runner.model.generator)
    before = {key: value.clone() for key, value in runner.model.state_dict().items()}
    one = runner.train().state_dict()
    first, second = (process["weights"] for process in pair[name])
    searched = [f"generator.{key}" for key, _ in runner.model.generator.arch_parameters()]
    assert max((one[key] - before[key]).abs().max() for key in searched) > 1e-5
    for key in one:
        assert torch.equal(first[key], second[key]), key
        torch.testing.assert_close(
            first[key], one[key], rtol=1e-9, atol=1e-9, msg=key, equal_nan=True
        )
    if name == "policy":  # one process or the other scores an architecture
        shares = [len(process["calls"]) for process in pair[name]]
        assert sum(shares) == len(calls) == 3 * 4 + 4
        assert min(shares) >= len(calls) // 4


def test_elastic_training_equals_one_process_with_the_double_batch(pair, images):
    runner = tiny_search.built(images, "one_sandwich", **sandwich(2))
    before = runner.model.generator.stem.weight.detach().clone()
    one = runner.train().state_dict()
    first, second = (process["weights"] for process in pair["sandwich"])
    assert not torch.equal(one["generator.stem.weight"], before)
    for key, value in one.items():
        assert torch.equal(first[key], second[key]), key
        torch.testing.assert_close(first[key], value, rtol=1e-5, atol=1e-6, msg=key)


def test_selection_is_that_of_one_process(pair, tmp_path):
    """Of three batches, the first process scores two and the other one; both fit on all."""
    one = tiny_search.selected(tmp_path)
    steps = 2 + 3 + 4  # of two channels, to 4, 6 and 8
    assert one["passes"] == steps * (3 + 3)
    for rank, two in enumerate(pair["selection"]):
        assert two["passes"] == steps * (2 - rank + 3)
        torch.testing.assert_close(two["kept"], one["kept"], rtol=0, atol=0)
        torch.testing.assert_close(two["weights"], one["weights"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NORMALISED)
def test_two_processes_agree(pair, name):
    first, second = (process["weights"] for process in pair[name])
    for key in first:
        if "running_" not in key:  # statistics are those of the process
            assert torch.equal(first[key], second[key]), key


def test_validation_is_that_of_the_file_and_is_made_up_for(images, start):
    """Batch normalisation has other statistics in each process; those of the first one count.

    A run that is killed before the validation of its last checkpoint finds the same best one. Where
    one process is told to stop, both leave with a checkpoint, and say that they are to be resumed.
    """
    options = {"iters": 4, "val_interval": 4, "save_interval": 4, "augment": False}
    options |= {"supernet": {"norm": True}, "dtype": "float32"}
    kill = {"type": "mmsrnas.KillHook", "iteration": 4, "moment": "before_val", "really": True}

    runs = {"bn": options, "bn_killed": options | {"hooks": [kill]}}
    assert 0 not in on_two(start, images, runs)
    first, second = (torch.load(images / f"bn_{rank}.pth")["weights"] for rank in range(2))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    best = torch.load(images / "bn/iter_4.pth", weights_only=True)
    assert torch.equal(
        best["state_dict"]["generator.norm.running_mean"], first["generator.norm.running_mean"]
    )
    assert not list((images / "bn_killed").glob("best*"))
    signalled = {"type": "mmsrnas.SignalHook", "iteration": 2, "number": 15, "rank": 1}
    told = {"iters": 20, "save_interval": 50, "hooks": [signalled], "dtype": "float32"}
    runs = {"bn_killed": options | {"resume": True}, "told": told}
    assert on_two(start, images, runs) == [RESUME_ME, RESUME_ME]
    assert [path.name for path in (images / "told").glob("*.pth")] == [f"iter_{AGREE_INTERVAL}.pth"]
    made_up = torch.load(images / "bn_killed/iter_4.pth", weights_only=True)
    scores = [c["message_hub"]["runtime_info"]["best_score"] for c in (best, made_up)]
    assert scores[0] == scores[1]
    assert len(list((images / "bn_killed").glob("best*"))) == 1
