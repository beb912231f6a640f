"""Checkpoints are found, understood under every name, and refused where they do not fit."""

import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmsrnas.checkpoint import Checkpoint, CheckpointError, find_checkpoint, read_checkpoint
from mmsrnas.models.dlsr import DLSRNet


def save(path, **content):
    content = {"state_dict": {"weight": torch.zeros(3)}, "meta": {"iter": 1}} | content
    torch.save(content, path)
    return path


@pytest.fixture
def work_dir(tmp_path):
    """A run of 20 iterations, the last one damaged, with files that are no checkpoints of it."""
    folder = tmp_path / "run"
    folder.mkdir()
    for step in (4, 16, 20):
        save(folder / f"iter_{step}.pth")
    last = (folder / "iter_20.pth").read_bytes()
    at = last.index(b"iter") + 60
    (folder / "iter_20.pth").write_bytes(last[:at] + bytes([last[at] ^ 1]) + last[at + 1 :])
    save(folder / "best_PSNR_iter_40.pth")
    torch.save([1, 2], folder / "iter_30.pth")
    save(folder / "iter_31.pth", meta={})
    (folder / "iter_32.pth").mkdir()
    (folder / "iter_x.pth").write_bytes(b"PK")
    return folder


@pytest.mark.parametrize(
    "pointer",
    [None, b"", b"\0\0\0\0", "iter_4.pth".encode("utf-16"), b"{}/iter_20.pth", b"iter_9.pth",
     b"/", b"..", b"a\nb", b"\xff\xfe" * 3000],
)  # fmt: skip
def test_newest_sound_checkpoint_takes_over(work_dir, pointer, caplog):
    if pointer is not None:
        (work_dir / "last_checkpoint").write_bytes(pointer)
    assert find_checkpoint(work_dir) == work_dir / "iter_16.pth"


def test_pointer_counts_by_its_name_alone(work_dir, tmp_path):
    """A copy is read from itself, a moved work dir from where it is now."""
    (work_dir / "last_checkpoint").write_text(f"{work_dir}/iter_4.pth\n")
    shutil.copytree(work_dir, tmp_path / "copy")
    assert find_checkpoint(tmp_path / "copy") == tmp_path / "copy" / "iter_4.pth"
    work_dir.rename(tmp_path / "moved")
    assert find_checkpoint(tmp_path / "moved") == tmp_path / "moved" / "iter_4.pth"


def test_checkpoint_outside_of_an_empty_work_dir(work_dir, tmp_path):
    """``CheckpointHook.out_dir`` may be elsewhere."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "last_checkpoint").write_text(f"{work_dir}/iter_4.pth")
    assert find_checkpoint(tmp_path / "empty") == work_dir / "iter_4.pth"


def test_nothing_is_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"last_checkpoint' names no checkpoint"):
        find_checkpoint(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"model.pretrained: checkpoint '.*x.pth' does not"):
        read_checkpoint(tmp_path / "x.pth", "model.pretrained")


@pytest.fixture
def network():
    return torch.nn.Conv2d(3, 4, 3)


def weights(network, prefix="", value=None):
    state = network.state_dict().items()
    return {prefix + name: w if value is None else w * 0 + value for name, w in state}


FORMS = {
    "editor": lambda n: {"state_dict": weights(n, "generator.") | {"loss.x": torch.ones(1)}},
    "parallel": lambda n: {"state_dict": weights(n, "module.generator.")},
    "parallel network": lambda n: {"state_dict": weights(n, "generator.module.")},
    "bare": lambda n: weights(n),
    "bare parallel": lambda n: {"state_dict": weights(n, "module.")},
    "params": lambda n: {"params": weights(n)},
    "params_ema": lambda n: {"params_ema": weights(n)},
    "averaged": lambda n: {"state_dict": weights(n, "generator_ema.")},
    "both": lambda n: {"params": weights(n), "params_ema": weights(n, value=7)},
    "no state_dict": lambda n: weights(n, "generator."),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_name_of_the_weights_is_understood(network, form):
    target = torch.nn.Conv2d(3, 4, 3)
    Checkpoint("x.pth", FORMS[form](network)).load_into(target)
    assert torch.equal(target.weight, network.weight) and torch.equal(target.bias, network.bias)


@pytest.mark.parametrize("form", ["editor", "params", "bare"])
def test_averaged_weights_are_not_made_up(network, form):
    with pytest.raises(CheckpointError, match=r"has no 'generator_ema.' weights.*is_use_ema=False"):
        Checkpoint("x.pth", FORMS[form](network)).load_into(network, "generator_ema")


def test_part_of_a_search(network):
    checkpoint = Checkpoint("x.pth", {"state_dict": weights(network, "generator.generator.")})
    target = torch.nn.Conv2d(3, 4, 3)
    checkpoint.load_into(target, "generator.generator")
    assert torch.equal(target.weight, network.weight)
    assert checkpoint.part("dual_networks") == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias": None}, "missing: bias"),
        ({"extra": torch.ones(1)}, "not in the network: extra"),
        ({"bias": torch.ones(5)}, r"shape of bias: \(5,\), the network has \(4,\)"),
        ({"weight": torch.ones(4, 3, 3, 3, dtype=torch.int8)}, "type of weight: torch.int8"),
    ],
)
def test_misfit_leaves_the_network_as_it_is(network, change, message):
    state = {n: w for n, w in (weights(network, value=9) | change).items() if w is not None}
    before = weights(network, value=None)
    before = {name: tensor.clone() for name, tensor in before.items()}
    with pytest.raises(CheckpointError, match=f"(?s)teacher 'x.pth': does not fit.*{message}"):
        Checkpoint("x.pth", state, "teacher").load_into(network)
    assert all(torch.equal(tensor, before[n]) for n, tensor in network.state_dict().items())


@pytest.mark.parametrize("content", [{"meta": {}}, {"state_dict": {}}, {"state_dict": {"a": 1}}])
def test_file_without_weights(content):
    with pytest.raises(CheckpointError, match="holds no weights"):
        Checkpoint("x.pth", content).part("generator")


def test_refused_file_is_named_with_its_key(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match=r"distillation.checkpoint: '.*x.pth' is damaged"):
        read_checkpoint(tmp_path / "x.pth", "distillation.checkpoint")


def test_genotype():
    genotype = DLSRNet("DLSR_TINY").genotype
    meta = {"genotype": genotype.to_dict()}
    assert Checkpoint("x.pth", {"meta": meta}).genotype == genotype
    assert Checkpoint("x.pth", {}).genotype is None
    for wrong in ({"method": "dlsr"}, [1], "DLSR", {"method": "x"}):
        with pytest.raises(CheckpointError, match=r"x.pth': its genotype cannot be read"):
            _ = Checkpoint("x.pth", {"meta": {"genotype": wrong}}).genotype


def config(text):
    return Checkpoint("x.pth", {"meta": {"cfg": text}}).config()


def test_config_is_read_as_data():
    text = """default_scope = 'mmagic'
model = dict(generator=dict(type='mmsrnas.DLSRNet', x=-1.5, y=(1, None), z={'a b': [True]}))
work_dir = 'elsewhere'
"""
    text += "train_cfg = dict({'a.b': dict(c=1)})\n"
    assert config(text).to_dict() == {
        "train_cfg": {"a.b": {"c": 1}},
        "default_scope": "mmagic",
        "model": {
            "generator": {
                "type": "mmsrnas.DLSRNet",
                "x": -1.5,
                "y": (1, None),
                "z": {"a b": [True]},
            }
        },
    }


def test_config_of_every_config_of_the_project_is_data():
    for path in sorted((Path(__file__).parents[1] / "configs").glob("[!_]*/*.py")):
        config(Config.fromfile(path).pretty_text)


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "model = open('made', 'w')",
        "model = dict(**globals())",
        "model = dict(globals())",
        "model = dict({'a': open('made', 'w')})",
        "model = [x for x in (1,)]",
        "model = dict(generator=dict(type='os.mkdir'))",
        "model = dict(generator=dict(type='subprocess.run'))",
        "model = dict(generator=[dict(a=dict(type='builtins.eval'))])",
        "model = dict(type='eval')",
        "model = dict(type=1)",
        "default_scope = 'os'",
        "model = " + "[" * 5000 + "]" * 5000,
        "model = (",
        "x = 1\n" * 200_000,
    ],
)
def test_config_that_is_more_than_data(text):
    with pytest.raises(CheckpointError, match=r"more than plain data .*--config"):
        config(text)


@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_values_that_are_no_numbers_are_refused(value):
    """Every tool loads through this: test, compare, export, derive, resume."""
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.BatchNorm2d(1))
    network.register_buffer("baseline", torch.tensor(torch.nan))  # until its first update
    state = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    Checkpoint("a.pth", {"state_dict": state}).load_into(network, "")
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    for name in ("0.weight", "1.running_var"):
        bad = {**state, name: torch.full_like(state[name], value)}
        with pytest.raises(CheckpointError, match=f"a.pth.*'{name}'.*NaN or infinite.*earlier"):
            Checkpoint("a.pth", {"state_dict": bad}).load_into(network, "")
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0, equal_nan=True)
