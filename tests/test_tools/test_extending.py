"""The toy method of docs/extending.md, word by word: search, derive, draw, train, export."""

import re
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mmsrnas.datasets.resize import imresize
from mmsrnas.genotypes import GENOTYPES, GenotypeError, load_genotype
from mmsrnas.models.supernet import Supernet
from mmsrnas.registry import MODELS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/extending.md").read_text()
FILES = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", PAGE, re.DOTALL))
FEW = ["train_cfg.max_iters=3", "train_dataloader.batch_size=2", "default_hooks.logger.interval=1"]


@pytest.fixture
def toy():
    """The modules of the page, as if they lay in the package."""
    package = {path: text for path, text in FILES.items() if path.startswith("mmsrnas/")}
    known = dict(MODELS.module_dict)
    loaded = []
    folder = ModuleType("mmsrnas.models.toy")
    folder.__path__ = []
    sys.modules[folder.__name__] = folder
    loaded.append(folder.__name__)
    for path, text in package.items():
        name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        module = folder if name == folder.__name__ else ModuleType(name)
        module.__package__ = name if module is folder else name.rpartition(".")[0]
        sys.modules[name] = module
        loaded.append(name)
        exec(compile(text, path, "exec"), module.__dict__)
    yield folder
    for name in set(loaded):
        del sys.modules[name]
    del GENOTYPES["toy"]
    MODELS.module_dict.clear()
    MODELS.module_dict.update(known)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with the configs of the page and photographs as `make demo` writes them."""
    (tmp_path / "configs/toy").mkdir(parents=True)
    (tmp_path / "configs/_base_").symlink_to(ROOT / "configs/_base_")
    for path, text in FILES.items():
        if path.startswith("configs/"):
            (tmp_path / path).write_text(text)
    rng = np.random.default_rng(0)
    for part in ("weights", "architecture"):
        for folder in ("HR_sub", "LR_bicubic/X2_sub"):
            (tmp_path / "data/demo" / part / folder).mkdir(parents=True)
        for i in range(3):
            image = rng.integers(0, 256, (48, 48, 3), np.uint8)
            root = tmp_path / "data/demo" / part
            cv2.imwrite(str(root / f"HR_sub/{i}.png"), image)
            cv2.imwrite(str(root / f"LR_bicubic/X2_sub/{i}.png"), imresize(image, 0.5))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_page_is_followed_word_by_word(toy, workplace, run_tool):
    assert len(FILES) == 6
    assert isinstance(toy.ToySupernet(), Supernet)
    few = ["default_hooks.arch_optimizer.warmup_iters=1", *FEW]
    few.append("default_hooks.arch_optimizer.dataloader.batch_size=2")
    search, train = (
        f"configs/toy/{name}.py" for name in ("toy_search_x2_photographs", "toy_x2_photographs")
    )
    with DefaultScope.overwrite_default_scope("mmagic"):
        run_tool("train.py", search, "--cfg-options", *few, "default_hooks.checkpoint.interval=3")
        work_dir = Path("work_dirs/toy_search_x2_photographs")
        written = load_genotype(work_dir / "genotype.json", "toy")
        (work_dir / "genotype.png").unlink()
        assert "kernel_sizes" in run_tool("derive.py", work_dir)
        assert load_genotype(work_dir / "genotype.json", "toy") == written
        assert (work_dir / "genotype.png").stat().st_size > 1_000
        run_tool("train.py", train, "--cfg-options", *FEW, "default_hooks.checkpoint.interval=3")
        checkpoint = "work_dirs/toy_x2_photographs/iter_3.pth"
        assert "toy.onnx: onnx, " in run_tool("export.py", checkpoint, "toy.onnx")


def test_schema_of_the_page(toy):
    good = {"method": "toy", "kernel_sizes": [3, 5]}
    assert load_genotype(good).to_dict() | good == load_genotype(good).to_dict()
    for wrong, message in (
        ([2], r"'kernel_sizes\[0\]': unknown value 2; known: 1, 3, 5"),
        ([1, 1], "'kernel_sizes': expected one above 1"),
        ([3] * 17, "'kernel_sizes': expected `array` of length <= 16"),
    ):
        with pytest.raises(GenotypeError, match=message):
            load_genotype(good | {"kernel_sizes": wrong})
    assert toy.ToyNet(good, mid_channels=4).genotype.mid_channels == 4
    title = load_genotype(good).diagrams()[0].title
    assert title == "toy: the fields of the genotype"


def test_a_method_has_one_genotype_class():
    from mmsrnas.genotypes import Genotype

    with pytest.raises(TypeError, match="genotype method 'dlsr' belongs to mmsrnas"):

        class Other(Genotype):
            method = "dlsr"


def test_page_is_short():
    text = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    assert len(text.split()) < 1000
