import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from mmsrnas.compat import CheckpointError, load_tensors

ROOT = Path(__file__).parents[1]


def run(code, *paths, arguments=()):
    """Runs code in a fresh interpreter and returns the JSON of its last line, and all it printed.

    Args:
        code: What to run; ``hide(*names)`` makes packages unimportable.
        paths: Folders in front of everything else that is installed.
        arguments: Interpreter arguments instead of ``-c code``.
    """
    hide = """
        import json, sys
        def hide(*names):
            class Hidden:
                def find_spec(name, path=None, target=None):
                    if name in names:
                        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            sys.meta_path.insert(0, Hidden)
    """
    script = textwrap.dedent(hide) + textwrap.dedent(code)
    searched = (*paths, ROOT, os.environ.get("PYTHONPATH", ""))
    done = subprocess.run(
        [sys.executable, *(arguments or ("-c", script))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, searched))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


def test_restoration_zoo_registers_without_optional_packages():
    result, printed = run("""
        hide("diffusers", "transformers", "safetensors", "lpips", "albumentations", "mmcv._ext")
        import mmsrnas
        early = "torch" in sys.modules
        import numpy as np
        import mmagic.datasets, mmagic.engine, mmagic.evaluation, mmagic.models, torchvision
        from mmagic.registry import METRICS, MODELS, TRANSFORMS
        from mmsrnas.compat import skipped_modules

        def refusal(registry, name):
            try:
                registry.build(dict(type=name, out_size=8, style_channels=8))
            except ImportError as error:
                return str(error)

        loaders = {
            type(module.__spec__.loader).__name__
            for name, module in sys.modules.items()
            if name.split(".")[0] in ("mmagic", "torchvision", "mmengine")
        }
        print(json.dumps(dict(
            early=early,
            alias=np.bool8 is np.bool_,
            loaders=sorted(loaders - {"ExtensionFileLoader"}),
            known=[n for n in ("EDSRNet", "RDNNet", "SRCNNNet", "MSRResNet", "RRDBNet", "SwinIRNet",
                               "NAFNet", "Restormer", "BaseEditModel") if n in MODELS.module_dict],
            psnr="PSNR" in METRICS.module_dict,
            params=sum(p.numel() for p in MODELS.build(dict(
                type="EDSRNet", in_channels=3, out_channels=3, upscale_factor=2)).parameters()),
            skipped=sorted(skipped_modules()),
            edvr=refusal(MODELS, "EDVRNet"),
            stylegan=refusal(MODELS, "mmagic.StyleGAN2Generator"),
            vico=refusal(MODELS, "AnimateDiff"),
            albumentations=refusal(TRANSFORMS, "PairedAlbuTransForms"),
        )))
    """)
    assert not result["early"], "import mmsrnas should not import torch"
    assert result["alias"] and result["psnr"] and len(result["known"]) == 9
    assert result["params"] == 1_369_859  # EDSR-baseline x2, 1.37 M in the paper
    assert result["loaders"] == ["SourceFileLoader"]
    assert "mmagic.models.editors.edvr.edvr_net" in result["skipped"]
    assert not [name for name in result["skipped"] if "edsr" in name or "base_models" in name]
    assert "EDVRNet is not available" in result["edvr"] and "full mmcv" in result["edvr"]
    assert "full mmcv" in result["stylegan"]
    assert "Install" in result["vico"]
    assert "Install albumentations" in result["albumentations"]
    assert "Warning: mmcv.ops" not in printed and "Diffusion" not in printed


FAKE = {
    "mmagic/__init__.py": "",
    "mmagic/registry.py": """
        class Registry:
            module_dict = {}
            def register_module(self, name=None, module=None):
                if module is None:
                    return lambda cls: cls
                self.module_dict[name] = module
        MODELS = Registry()
    """,
    "mmagic/clean.py": "import modern; VALUE = 3",
    "mmagic/missing.py": """
        from .registry import MODELS
        BEFORE = 1
        import not_installed
        @MODELS.register_module()
        class Net: ...
    """,
    "mmagic/submodule.py": "from modern.old_part import Part\nfrom .registry import MODELS",
    "mmagic/uses_missing.py": "from .missing import Net\nclass Sub(Net): ...",
    "mmagic/broken.py": "import removed_numpy_name",
    "mmagic/removed.py": "import modern; modern.old_name",
    "mmagic/renamed.py": "from modern import old_name",
    "mmagic/complaint.py": """
        try:
            import not_installed
        except ImportError:
            raise RuntimeError("Please install not_installed")
    """,
    "mmagic/archs/__init__.py": "from .leaf import LEAF\na, b = None",
    "mmagic/archs/leaf.py": "LEAF = 1",
    "mmagic/archs/late.py": "LATE = 2",
    "mmagic/bug_name.py": "undefined_name",
    "mmagic/bug_type.py": "len(3)",
    "mmagic/bug_numpy.py": "import numpy; numpy.zeros('three')",
    "mmagic/bug_own_import.py": "from .clean import misspelt",
    "mmagic/bug_nested.py": "from . import bug_name",
    "mmagic/interrupted.py": "raise KeyboardInterrupt",
    "modern.py": "",
    "removed_numpy_name.py": "import numpy\nnumpy.no_such_name",
}


def test_only_optional_packages_are_tolerated(tmp_path):
    write(tmp_path, FAKE)
    result, _ = run(
        """
        import importlib, os
        import mmsrnas
        from mmsrnas.compat import skipped_modules
        names = ["clean", "missing", "uses_missing", "broken", "removed", "renamed",
                 "complaint", "submodule",
                 "bug_name", "bug_type", "bug_numpy", "bug_own_import", "bug_nested", "interrupted"]
        outcome = {}
        for name in names:
            try:
                importlib.import_module(f"mmagic.{name}")
                outcome[name] = "skipped" if f"mmagic.{name}" in skipped_modules() else "ok"
            except BaseException as error:
                outcome[name] = type(error).__name__
        import mmagic.broken, mmagic.missing, mmagic.submodule, mmagic.uses_missing
        for build in (mmagic.missing.Net, mmagic.uses_missing.Sub, mmagic.broken.Broken,
                      mmagic.submodule.Part):
            try:
                build(3, depth=2)
            except ImportError as error:
                outcome[build.__name__] = str(error)
        outcome["before"] = mmagic.missing.BEFORE
        outcome["registered"] = mmagic.registry.MODELS.module_dict["Net"] is mmagic.missing.Net
        print(json.dumps(outcome))
        """,
        tmp_path,
    )
    for name in ("missing", "broken", "removed", "renamed", "complaint", "submodule"):
        assert result[name] == "skipped", name
    assert result["clean"] == result["uses_missing"] == "ok"
    assert result["bug_name"] == result["bug_nested"] == "NameError"
    assert result["bug_type"] == result["bug_numpy"] == "TypeError"
    assert result["bug_own_import"] == "ImportError"
    assert result["interrupted"] == "KeyboardInterrupt"
    assert "Install not_installed" in result["Net"] and "Install not_installed" in result["Sub"]
    assert "Install" not in result["Part"] and "installed modern does not suit" in result["Part"]
    assert "installed removed_numpy_name does not suit" in result["Broken"]
    assert result["before"] == 1 and result["registered"]


def test_nothing_is_intercepted_where_everything_imports(tmp_path):
    write(tmp_path, {name: FAKE[name] for name in ("mmagic/__init__.py", "mmagic/clean.py")})
    write(tmp_path, {"modern.py": "", "torchvision/__init__.py": "VALUE = 4"})
    look = """
        import {first}mmagic, mmagic.clean, torchvision
        print(json.dumps([
            [sorted(vars(m)), type(m).__name__, type(m.__spec__.loader).__name__,
             m.__loader__ is m.__spec__.loader]
            for m in (mmagic, mmagic.clean, torchvision)
        ]))
    """
    plain, _ = run(look.format(first=""), tmp_path)
    repaired, _ = run(look.format(first="mmsrnas, "), tmp_path)
    skipped, _ = run(
        "import mmsrnas.compat as c, mmagic.clean; print(json.dumps(c.skipped_modules()))", tmp_path
    )
    assert repaired == plain
    assert skipped == {}


def test_package_that_fails_late_keeps_its_modules(tmp_path):
    write(tmp_path, FAKE)
    write(tmp_path, {"mmagic/models/__init__.py": "from .archs import Wrapper"})
    (tmp_path / "mmagic/archs").rename(tmp_path / "mmagic/models/archs")
    result, _ = run(
        """
        hide("diffusers")
        import mmsrnas
        from mmsrnas.compat import skipped_modules
        from mmagic.models import Wrapper
        from mmagic.models.archs import LEAF, late
        print(json.dumps([LEAF, late.LATE, Wrapper.__name__, list(skipped_modules())]))
        """,
        tmp_path,
    )
    assert result == [1, 2, "Wrapper", ["mmagic.models.archs"]]


def test_refused_mmcv_is_explained(tmp_path):
    write(tmp_path, {"mmagic/__init__.py": "assert False, 'mmcv==2.2.0 is incompatible'"})
    message, _ = run(
        """
        import mmsrnas
        try:
            import mmagic
        except RuntimeError as error:
            print(json.dumps(str(error)))
        """,
        tmp_path,
    )
    assert "mmcv==2.2.0" in message and "mmcv-lite==2.1.0" in message


def test_torchvision_beside_another_torch(tmp_path):
    operators = """
        import torch
        from . import part
        torch.library.register_fake("torchvision::nms")(lambda *a: None)
        torch.library.register_fake("torchvision::qnms")(lambda *a: None)
        DONE = part.COUNT
    """
    write(tmp_path, {"torchvision/__init__.py": operators, "torchvision/part.py": "COUNT = 1"})
    done, _ = run("import mmsrnas, torchvision; print(json.dumps(torchvision.DONE))", tmp_path)
    assert done == 1

    write(tmp_path, {"torchvision/__init__.py": "raise RuntimeError('something else')"})
    message, _ = run(
        """
        import mmsrnas
        try:
            import torchvision
        except RuntimeError as error:
            print(json.dumps(str(error)))
        """,
        tmp_path,
    )
    assert message == "something else"


def test_script_runs_as_by_python_itself(tmp_path):
    write(
        tmp_path,
        {
            "neighbour.py": "",
            "script.py": """
                import json, sys
                import neighbour, numpy
                print(json.dumps([sys.argv[1:], __name__, numpy.bool8 is numpy.bool_]))
            """,
        },
    )
    script = str(tmp_path / "script.py")
    result, _ = run("", arguments=("-m", "mmsrnas", script, "--option", "x"))
    assert result == [["--option", "x"], "__main__", True]


class Hidden:
    """Runs a function of its author's choice when it is unpickled."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def test_history_loads_safely(tmp_path):
    history = HistoryBuffer([1.5, 2.5, 4.0], [1, 1, 2])
    checkpoint = {"log": history, "best": np.float64(3.25), "array": np.arange(4, dtype=np.int64)}
    torch.save(checkpoint, tmp_path / "run.pth")
    loaded = torch.load(tmp_path / "run.pth", weights_only=True)
    for name in ("mean", "max", "current"):
        assert loaded["log"].statistics(name) == history.statistics(name)
    assert loaded["best"] == 3.25
    np.testing.assert_array_equal(loaded["array"], np.arange(4))


def test_a_resume_loads_to_the_cpu(tmp_path):
    """There an optimizer that was not interrupted has its step; all else goes where it belongs."""
    torch.save({"step": torch.tensor(1.0)}, tmp_path / "run.pth")
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / "run.pth"), map_location="meta")
    assert loaded["step"].device.type == "cpu"


@pytest.mark.parametrize(
    "hidden",
    [
        Hidden(os.mkdir, "made_by_checkpoint"),
        Hidden(getattr, np.ndarray, "tofile"),
        Hidden(getattr, HistoryBuffer, "__init__"),
        Hidden(np.load, "other.npy"),
    ],
)
def test_unsafe_checkpoint_is_refused(tmp_path, monkeypatch, hidden):
    """By the loader that mmengine uses too, and whatever the default of torch.load is."""
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "extra": hidden}, "run.pth")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    for load in (load_tensors, CheckpointLoader.load_checkpoint):
        with pytest.raises(CheckpointError, match=r"'run\.pth' was refused"):
            load("run.pth")
    assert not Path("made_by_checkpoint").exists()


def test_damaged_and_compressed_files_are_refused(tmp_path):
    path = tmp_path / "run.pth"
    torch.save({"state_dict": {"weight": torch.zeros(1000)}}, path)
    content = path.read_bytes()
    for damaged in (b"", content[:-40], b"\0" * 100, content[:500]):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"run\.pth' is damaged, or no checkpoint"):
            load_tensors(path)
    path.write_bytes(content)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "bomb.pth", "w", 8) as bomb:
        for name in old.namelist():
            bomb.writestr(name, old.read(name))
    with pytest.raises(CheckpointError, match=r"bomb\.pth' was refused: it is compressed"):
        load_tensors(tmp_path / "bomb.pth")


def test_yaml_config_makes_no_objects(tmp_path):
    config = tmp_path / "config.yml"
    config.write_text("model: {type: EDSRNet}\n")
    assert Config.fromfile(config).model.type == "EDSRNet"
    config.write_text(f"a: !!python/object/apply:os.mkdir [{tmp_path}/made]\n")
    with pytest.raises(yaml.constructor.ConstructorError, match=r"os\.mkdir"):
        Config.fromfile(config)
    assert not (tmp_path / "made").exists()
