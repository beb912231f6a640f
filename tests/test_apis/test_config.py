"""Configs with options of the command line: what is refused, and in which words."""

import argparse
import ast
from pathlib import Path

import mmagic
import pytest

from mmsrnas.apis.config import ConfigError, ConfigOptions, check_keys, read_config

ROOT = Path(__file__).parents[2] / "configs"


def options(*values):
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions)
    return parser.parse_args(["--cfg-options", *values]).cfg_options


@pytest.fixture
def config(tmp_path):
    """Writes a config and returns its file."""

    def write(text):
        (tmp_path / "config.py").write_text(text)
        return tmp_path / "config.py"

    return write


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("trian_cfg", "train_cfg"),
        ("custom_hoks", "custom_hooks"),
        ("custom_hook", "custom_hooks"),
        ("train_dataloder", "train_dataloader"),
        ("optim_wraper", "optim_wrapper"),
        ("param_schedulers", "param_scheduler"),
        ("val_evalutor", "val_evaluator"),
        ("val_cgf", "val_cfg"),
        ("load_form", "load_from"),
        ("randomnes", "randomness"),
        ("_bases_", "_base_"),
        ("skip_missing_testsets", "skip_missing_test_sets"),
    ],
)
def test_misspelt_key(config, key, meant):
    file = config(f"{key} = dict(a=1)")
    with pytest.raises(ConfigError, match=rf"config\.py: .*'{key}'; did you mean '{meant}'"):
        read_config(file)
    with pytest.raises(ConfigError, match=f"did you mean '{meant}'"):
        read_config(config("model = dict()"), {f"{key}.a": 1})


def test_variables_of_a_config_are_fine(config):
    names = ("total", "warmup", "scale", "my_pipeline", "dist_cfg", "set14_dataloader", "budget")
    read_config(config("\n".join(f"{name} = 1" for name in names)))


def test_no_config_of_ours_or_of_mmagic_is_refused():
    files = [*ROOT.rglob("*.py"), *Path(mmagic.__path__[0], ".mim/configs").rglob("*.py")]
    assert len(files) > 200
    for file in files:
        targets = [
            target.id
            for node in ast.parse(file.read_text()).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        ]
        check_keys(targets, str(file))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("test_set.2.name", r"'test_set' is a list of 2 items \(A, B\).*no item '2'.*0 to 1"),
        ("test_set.first.name", r"no item 'first'"),
        ("hooks.0.interval", r"no list 'hooks'.*its keys are arch_optimizer"),
        ("custom_hooks.0.interval", r"'custom_hooks' is an empty list"),
        ("scale.x", r"'scale' is 2, which has no part 'x'"),
        ("missing.0.x", r"no list 'missing'"),
    ],
)
def test_unreachable_option(config, key, message):
    file = config("""
test_set = [dict(type="A"), dict(type="B")]
hooks = dict(arch_optimizer=dict(interval=1))
custom_hooks = []
scale = 2
missing = dict()
""")
    with pytest.raises(ConfigError, match=rf"--cfg-options {key}: .*{message}"):
        read_config(file, {key: 3})


def test_options_arrive(config):
    file = config('test_set = [dict(type="A", x=1)]\nscale = 2\nload_from = None')
    cfg = read_config(file, {"test_set.0.x": 5, "scale": 3, "load_from": "a.pth", "new.key": 1})
    assert (cfg.test_set[0].x, cfg.scale, cfg.load_from, cfg.new.key) == (5, 3, "a.pth", 1)


def test_a_named_hook_that_is_none_is_left_out():
    file = ROOT / "hinas/hinas_denoise_search_bsd500.py"
    cfg = read_config(file, {"default_hooks.early_stop": None, "default_hooks.timer": None})
    assert "early_stop" not in cfg.default_hooks
    assert cfg.default_hooks.timer is None  # mmengine takes out its own


@pytest.mark.parametrize("folder", ["my runs", "a,b", "run [2]", "lr=(1,2)", "it's", "plain"])
def test_path_as_an_option(tmp_path, folder):
    (tmp_path / folder).mkdir()
    file = tmp_path / folder / "genotype.json"
    file.touch()
    assert options(f"model.generator.genotype={file}") == {"model.generator.genotype": str(file)}


def test_path_that_is_not_there_keeps_its_spaces():
    assert options("a=my runs/genotype.json") == {"a": "my runs/genotype.json"}


def test_other_values_as_in_mmengine():
    values = options("a=1", "b=0.5", "c=1,2", "d=[(1,2),x]", "e=None", "f=true", "g=[a/b,c/d]")
    assert values == {
        "a": 1, "b": 0.5, "c": [1, 2], "d": [(1, 2), "x"], "e": None, "f": True,
        "g": ["a/b", "c/d"],
    }  # fmt: skip
