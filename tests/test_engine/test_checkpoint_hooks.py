"""What a run saves and loads: never lost, never of another network, never outside of its folder."""

import os
import shutil
import signal

import pytest
import tiny_search
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from mmsrnas.checkpoint import CheckpointError
from mmsrnas.engine.hooks.checkpoint_hook import (
    RESUME_ME,
    SIGNALS,
    AtomicBackend,
    CheckpointHook,
)
from mmsrnas.models.dlsr import DLSRNet

NETWORK = {"type": "mmsrnas.DLSRNet", "genotype": "DLSR_TINY", "mid_channels": 4}


def names(folder, pattern="*.pth"):
    return sorted(path.name for path in folder.glob(pattern))


def runner_of(images, run, **options) -> Runner:
    """Runner of a training without a search."""
    plain = {"optim_wrapper": {"optimizer": {"type": "Adam", "lr": 1e-3}}}
    cfg = {"supernet": NETWORK, "augment": False, "log_level": "WARNING"} | plain | options
    hooks = [{"type": "mmsrnas.ExactResumeHook"}, *cfg.pop("hooks", [])]
    return tiny_search.runner(images, run=run, custom_hooks=hooks, **cfg)


def train(images, run, **options) -> Runner:
    runner = runner_of(images, run, **options)
    runner.train()
    return runner


def log_of(folder):
    return max(folder.glob("*/*.log"), key=os.path.getmtime).read_text()


@pytest.fixture(scope="module")
def trained(images):
    """Work dir of a network that was trained for four iterations."""
    train(images, "trained", iters=4)
    return images / "trained"


def test_checkpoint_holds_genotype_and_plain_values(trained):
    checkpoint = torch.load(trained / "iter_4.pth", weights_only=True)
    assert checkpoint["meta"]["genotype"] == DLSRNet("DLSR_TINY", mid_channels=4).genotype.to_dict()

    def types(value):
        yield type(value)
        items = value.values() if isinstance(value, dict) else value
        if isinstance(value, dict | list | tuple):
            for item in items:
                yield from types(item)

    assert not {kind.__name__ for kind in types(checkpoint)} - {
        *("dict", "OrderedDict", "list", "tuple", "str", "int", "float", "bool", "NoneType"),
        *("Tensor", "_FrozenCounter"),
    }


def test_log_history_survives(images, trained):
    shutil.copytree(trained, images / "history")
    runner = train(images, "history", iters=5, resume=True)
    losses = runner.message_hub.get_scalar("train/loss")
    assert isinstance(losses, HistoryBuffer) and len(losses.data[0]) == 5


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"genotype": "DLSR_PARA"}, "genotype"),
        ({"type": "EDSRNet", "genotype": None, "in_channels": 3, "out_channels": 3}, "missing"),
    ],
)
@pytest.mark.parametrize("key", ["resume", "load_from"])
def test_another_network_is_refused(images, trained, key, other, message):
    network = {k: v for k, v in (NETWORK | other).items() if v is not None}
    options = {"load_from": str(trained / "iter_4.pth"), "resume": key == "resume"}
    with pytest.raises(CheckpointError, match=rf"(?s){key} '.*iter_4.pth'.*{message}"):
        train(images, f"other_{key}_{message}", supernet=network, iters=5, **options)


def test_whole_weights_of_another_type_are_refused(images, trained, tmp_path):
    checkpoint = torch.load(trained / "iter_4.pth", weights_only=True)
    state = checkpoint["state_dict"]
    checkpoint["state_dict"] = {name: (9 * w).to(torch.int8) for name, w in state.items()}
    torch.save(checkpoint, tmp_path / "int8.pth")
    with pytest.raises(CheckpointError, match=r"type of .* torch.int8"):
        train(images, "int8", load_from=str(tmp_path / "int8.pth"))


def test_resume_of_weights_alone_is_refused(images, trained, tmp_path):
    checkpoint = torch.load(trained / "iter_4.pth", weights_only=True)
    torch.save({"state_dict": checkpoint["state_dict"]}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"no checkpoint of a run, meta.iter is None"):
        train(images, "weights", load_from=str(tmp_path / "x.pth"), resume=True)


def test_code_in_meta_is_not_executed(images, trained, tmp_path):
    checkpoint = torch.load(trained / "iter_4.pth", weights_only=True)
    checkpoint["meta"]["config"] = f"import os; os.mkdir({str(tmp_path / 'made')!r})"
    torch.save(checkpoint, tmp_path / "x.pth")
    train(images, "code", load_from=str(tmp_path / "x.pth"), resume=True)
    assert not (tmp_path / "made").exists()


def test_changed_schedule_and_optimizer_are_told(images, trained):
    scheduler = {"type": "MultiStepLR", "by_epoch": False, "milestones": [3, 100], "end": 50}
    train(images, "schedule", iters=2, param_scheduler=scheduler)
    scheduler |= {"milestones": [8, 9]}
    wrapper = {"optimizer": {"type": "Adam", "lr": 1e-2, "eps": 1e-5}}
    options = {"iters": 4, "resume": True, "param_scheduler": scheduler, "optim_wrapper": wrapper}
    runner = train(images, "schedule", **options)
    log = log_of(images / "schedule")
    assert "param_scheduler[0].milestones is {8: 1, 9: 1} in the config and {3: 1, 100: 1}" in log
    assert "optim_wrapper.param_groups[0].eps is 1e-05 in the config and 1e-08" in log
    assert "optim_wrapper.param_groups[0].initial_lr is 0.01" in log
    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(1e-4)]  # as the warning says


def test_unchanged_schedule_is_not_told(images, trained):
    shutil.copytree(trained, images / "unchanged")
    (images / "unchanged" / "iter_4.pth").unlink()
    train(images, "unchanged", iters=4, resume=True)
    assert "in the checkpoint" not in log_of(images / "unchanged")


def test_longer_run_with_the_end_of_the_shorter_one_is_told(images, trained):
    """mmengine ends a schedule with the run, unless the config says when it ends."""
    shutil.copytree(trained, images / "longer")
    train(images, "longer", iters=6, resume=True)
    told = "param_scheduler[0].end is 6 in the config and 4 in the checkpoint"
    assert told in log_of(images / "longer")


@pytest.fixture(scope="module")
def validated(images):
    """Work dir of a network that was trained for two iterations and validated."""
    train(images, "validated", iters=2, val_interval=2)
    return images / "validated"


def test_best_checkpoint_of_a_copy_is_its_own(images, validated):
    original, copy = validated, images / "copied"
    shutil.copytree(original, copy)
    before = {name: (original / name).stat().st_mtime_ns for name in names(original)}
    runner = runner_of(images, "copied", iters=4, resume=True, val_interval=2)
    info = torch.load(copy / "iter_2.pth", weights_only=True)["message_hub"]["runtime_info"]
    assert info["best_ckpt"].startswith(str(original))
    improve(runner)
    runner.train()
    assert {name: (original / name).stat().st_mtime_ns for name in names(original)} == before
    (best,) = names(copy, "best*.pth")
    assert best.endswith("iter_4.pth")


def improve(runner):
    """Makes every validation better than the last."""

    class Better(Hook):
        priority = "HIGHEST"

        def after_val_epoch(self, runner, metrics=None) -> None:
            metrics["tiny/PSNR"] = 100.0 + runner.iter

    runner.register_hook(Better())


@pytest.mark.parametrize("path", ["{}/victim", "{}/victim.pth", "../victim", "/", ""])
def test_paths_of_a_checkpoint_reach_nothing_outside(images, validated, path, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "victim.pth").touch()
    run = f"hostile_{abs(hash(path))}"
    shutil.copytree(validated, images / run)
    file = images / run / "iter_2.pth"
    checkpoint = torch.load(file, weights_only=True)
    info = checkpoint["message_hub"]["runtime_info"]
    info |= {"best_ckpt": path.format(tmp_path), "keep_ckpt_ids": [f"1/../../{tmp_path}/victim"]}
    torch.save(checkpoint, file)
    runner = runner_of(images, run, iters=3, val_interval=1, save_interval=1, resume=True)
    improve(runner)
    runner.train()
    assert victim.is_dir() and (tmp_path / "victim.pth").is_file() and images.is_dir()


def test_old_files_go_when_the_new_ones_are_there(images, monkeypatch):
    """At every write there is a whole checkpoint, and a whole best one after the first."""
    folder, seen = images / "order", []

    def put(self, obj, filepath):
        seen.append((names(folder, "iter*.pth"), names(folder, "best*.pth")))
        original(self, obj, filepath)

    original = AtomicBackend.put
    monkeypatch.setattr(AtomicBackend, "put", put)
    runner = runner_of(images, "order", iters=6, val_interval=2)
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    hook.max_keep_ckpts = 1
    improve(runner)
    runner.train()
    assert all(iters for iters, _ in seen[1:])
    assert all(best for _, best in seen[2:])
    assert names(folder) == ["best_tiny_PSNR_iter_6.pth", "iter_6.pth"]


def test_full_disk_keeps_what_was_saved(images, trained, monkeypatch):
    def put(self, data):
        raise OSError(28, "No space left on device")

    shutil.copytree(trained, images / "full")
    monkeypatch.setattr("pathlib.Path.write_bytes", put)
    before = names(images / "full")
    with pytest.raises(OSError, match=r"iter_6.pth' of .* MB cannot be written .*--resume"):
        train(images, "full", iters=6, resume=True)
    monkeypatch.undo()
    assert names(images / "full") == before
    assert not names(images / "full", ".*part*")
    train(images, "full", iters=6, resume=True)


@pytest.fixture(scope="module")
def whole(images):
    """Weights of a run that was not interrupted."""
    train(images, "whole", iters=6, save_interval=4)
    return torch.load(images / "whole/iter_6.pth", weights_only=True)["state_dict"]


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_to_all_processes_saves_and_resumes_to_the_same_result(images, whole, number):
    run, options = f"told_{number}", {"iters": 6, "save_interval": 4}
    handlers = [signal.getsignal(other) for other in SIGNALS]
    hook = {"type": "mmsrnas.SignalHook", "iteration": 3, "number": int(number)}
    with pytest.raises(SystemExit) as stop:
        train(images, run, hooks=[hook], workers=1, **options)
    assert stop.value.code == RESUME_ME == os.EX_TEMPFAIL
    assert names(images / run) == ["iter_3.pth"]
    assert f"{number.name}: the run ends after iteration 3" in log_of(images / run)
    assert [signal.getsignal(other) for other in SIGNALS] == handlers
    train(images, run, resume=True, **options)
    told = torch.load(images / run / "iter_6.pth", weights_only=True)["state_dict"]
    assert all(torch.equal(told[name], weight) for name, weight in whole.items())


def test_early_stop_saves_and_stays_stopped(images):
    hooks = [{"type": "mmsrnas.SearchEarlyStopHook", "interval": 1, "patience": 2}]
    options = {"run": "stopped", "iters": 40, "save_interval": 30, "augment": False}
    tiny_search.runner(images, hooks=hooks, **options).train()
    (last,) = names(images / "stopped")
    runner = tiny_search.runner(images, hooks=hooks, resume=True, **options)
    runner.train()
    assert f"iter_{runner.iter}.pth" == last and names(images / "stopped") == [last]
    hooks[0]["patience"] = 100  # the user wants more
    runner = tiny_search.runner(images, hooks=hooks, resume=True, **options | {"iters": 8})
    runner.train()
    assert runner.iter == 8
