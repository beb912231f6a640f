"""Two processes with half a batch each search like one with the whole batch."""

import time

import pytest
import tiny_search
import torch


@pytest.mark.parametrize(
    ("mode", "second_order", "tolerance"),
    [("mixed", False, 1e-6), ("bilevel", False, 1e-6), ("bilevel", True, 1e-4)],
)
def test_equals_one_process_with_the_double_batch(images, start, mode, second_order, tolerance):
    def options(batch_size):
        complexity = {"type": "mmsrnas.ComplexityLoss", "loss_weight": 0.01}
        return {
            "iters": 4,
            "augment": False,
            "batch_size": batch_size,
            "arch": {
                "optimizer": {"type": "SGD", "lr": 1.0},
                "mode": mode,
                "virtual_step": {} if second_order else None,
                "complexity_loss": complexity,
            },
            "optim_wrapper": {
                "constructor": "mmsrnas.SearchOptimWrapperConstructor",
                "optimizer": {"type": "SGD", "lr": 0.1},
            },
            "hooks": [{"type": "mmsrnas.GenotypeHook"}],
        }

    run = f"two_{mode}_{second_order}"
    args = {"folder": str(images), "run": run, **options(batch_size=1)}
    processes = [start(tiny_search.search_on_two, rank, **args) for rank in range(2)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]

    runner = tiny_search.runner(images, run=f"one_{mode}_{second_order}", **options(batch_size=2))
    start_alpha = runner.model.generator.alpha.detach().clone()
    one = runner.train().state_dict()
    first, second = (torch.load(images / f"{run}_{rank}.pth") for rank in range(2))
    assert (one["generator.alpha"] - start_alpha).abs().max() > 1e-3
    for name in one:
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], one[name], rtol=1e-5, atol=tolerance, msg=name)


def test_validation_is_that_of_the_file_and_is_made_up_for(images, start):
    """Batch normalisation has other statistics in each process; those of the first one count.

    A run that is killed before the validation of its last checkpoint finds the same best one.
    """
    options = {"iters": 4, "val_interval": 4, "save_interval": 4, "augment": False}
    options |= {"supernet": {"norm": True}}
    kill = {"type": "mmsrnas.KillInValidation", "iteration": 4}

    def search(run, **changes):
        args = {"folder": str(images), "run": run, **options, **changes}
        (images / f"{run}.rendezvous").unlink(missing_ok=True)
        processes = [start(tiny_search.search_on_two, rank, **args) for rank in range(2)]
        while all(process.is_alive() for process in processes):
            time.sleep(0.02)
        for process in processes:
            process.join(timeout=5)
            process.kill()  # one that waits for the other, which was killed
        return [process.exitcode for process in processes]

    assert search("bn") == [0, 0]
    first, second = (torch.load(images / f"bn_{rank}.pth") for rank in range(2))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    best = torch.load(images / "bn/iter_4.pth", weights_only=True)
    assert torch.equal(
        best["state_dict"]["generator.norm.running_mean"], first["generator.norm.running_mean"]
    )
    search("bn_killed", hooks=[kill])
    assert not list((images / "bn_killed").glob("best*"))
    assert search("bn_killed", resume=True) == [0, 0]
    made_up = torch.load(images / "bn_killed/iter_4.pth", weights_only=True)
    scores = [c["message_hub"]["runtime_info"]["best_score"] for c in (best, made_up)]
    assert scores[0] == scores[1]
    assert len(list((images / "bn_killed").glob("best*"))) == 1
