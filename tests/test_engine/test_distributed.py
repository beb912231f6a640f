"""Two processes with half a batch each search like one with the whole batch."""

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
