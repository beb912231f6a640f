"""A search of HiNAS in two processes."""

import tiny_search
import torch


def test_two_processes_agree(images, start):
    """Normalisations see their own half of the batch; everything that is learnt is the same."""
    supernet = {
        "type": "mmsrnas.HiNASSupernet",
        "upscale_factor": 2,
        "num_cells": 1,
        "num_nodes": 1,
        "mid_channels": 2,
        "width_multipliers": [1, 2],
        "with_cp": True,
    }
    options = {
        "iters": 3,
        "batch_size": 1,
        "supernet": supernet,
        "arch": {"mode": "bilevel"},
        "hooks": [{"type": "mmsrnas.GenotypeHook"}],
    }
    processes = [
        start(tiny_search.search_on_two, rank, folder=str(images), run="hinas", **options)
        for rank in range(2)
    ]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    first, second = (torch.load(images / f"hinas_{rank}.pth") for rank in range(2))
    for name in first:
        if "running" not in name:
            assert torch.equal(first[name], second[name]), name
    assert first["generator.alpha"].abs().max() > 1e-3
