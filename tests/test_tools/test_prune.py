import pytest

from mmsrnas.apis import Pruned
from mmsrnas.apis.compression import Settings


def test_options_reach_the_function_and_its_result_is_printed(run_tool, tmp_path, monkeypatch):
    """What it does: tests/test_apis/test_pruning.py."""
    config, checkpoint = tmp_path / "c.py", tmp_path / "full.pth"
    config.write_text("model = dict(type='BaseEditModel')"), checkpoint.touch()
    calls = []

    def prune(cfg, *args, **kwargs):
        calls.append((cfg, args, kwargs))
        files = tmp_path / "pruned.pth", tmp_path / "genotype.json"
        return Pruned(None, (2000, 1000), (4_000_000_000, 1_000_000_000), *files)

    monkeypatch.setattr("mmsrnas.apis.prune", prune)
    options = ["--random", 0.5, "--cost", "params", "--criterion", "l1", "--batches", 3]
    options += ["--lr", 0.1, "--channels-per-step", 2, "--seed", 7, "--device", "cpu"]
    options += ["--work-dir", tmp_path / "out", "--cfg-options", "model.pyramid=True"]
    out = run_tool("prune.py", config, checkpoint, *options)
    ((cfg, args, kwargs),) = calls
    assert cfg.model == dict(type="BaseEditModel", pyramid=True)
    assert args == (str(checkpoint), str(tmp_path / "out"))
    assert kwargs == dict(
        genotype=None,
        uniform=None,
        random=0.5,
        cost=dict(type="params", target=None),
        criterion="l1",
        num_batches=3,
        lr=0.1,
        channels_per_step=2,
        seed=7,
        device="cpu",
    )
    assert "parameters: 2,000 -> 1,000 (50.0%)" in out
    assert "Multi-Adds for 1280x720: 4.0 G -> 1.0 G (25.0%)" in out


def test_budget_and_its_options_reach_the_function(run_tool, tmp_path, monkeypatch):
    """What it does: tests/test_apis/test_compression.py."""
    config, checkpoint, report = (tmp_path / name for name in ("c.py", "full.pth", "report.md"))
    config.write_text("model = dict(type='BaseEditModel')"), checkpoint.touch()
    report.write_text("# smaller")
    calls = []
    monkeypatch.setattr(
        "mmsrnas.apis.compression.compress", lambda *args: calls.append(args) or report
    )
    options = ["--max-params", 1e5, "--importance", "taylor", "--divisor", 4, "--rounds", 2]
    options += ["--iterations", 8, "--distillation", 0.5, "--seed", 3, "--device", "cpu"]
    assert "# smaller" in run_tool("prune.py", config, checkpoint, *options)
    ((_, source, folder, budget, settings),) = calls
    assert (source, str(folder)) == (str(checkpoint), "work_dirs/c_prune")
    assert (budget.cost.type, budget.limit) == ("params", 1e5)
    assert settings == Settings("taylor", 4, 8, 2, 8, 0.5, 3, "cpu")
    with pytest.raises(SystemExit, match="'target' and 'table' are of type='latency'"):
        run_tool("prune.py", config, checkpoint, "--max-params", 9, "--target", "torch:cpu:1")
    assert len(calls) == 1
