"""Fixtures of all tests."""

import gc
import math
import os
import re
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest

# Threads gain nothing on tiny tensors, and wait for each other where tests start processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# On every machine tests run on the CPU; with TEST_DEVICE=cuda those that mean something on a GPU.
ON_GPU = os.environ.get("TEST_DEVICE") == "cuda"
if ON_GPU:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as deterministic kernels ask for
else:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch  # noqa: E402
from images import write_paired_images  # noqa: E402

import mmsrnas  # noqa: E402, F401  (repairs the stack before mmagic is imported)


def pytest_configure() -> None:
    """Tests of resumed runs compare bits."""
    if ON_GPU:
        torch.backends.cudnn.deterministic = True
        torch.use_deterministic_algorithms(True, warn_only=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out what a process cannot do that has used a GPU."""
    for item in items:
        if ON_GPU and item.get_closest_marker("cpu"):
            item.add_marker(pytest.mark.skip(reason="runs on the CPU alone"))


def pytest_collection_finish() -> None:
    """Keeps the garbage collector away from what is imported, which never goes."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def quick_mmengine():
    """Saves what takes longer than a tiny run does, and which no test looks at.

    Formatting of the config of every run and checkpoint, garbage collection after every dataset,
    and a description of the environment for which every runner starts compilers.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmengine.config.config.FormatCode", lambda text, **_: (text, True))
        patch.setattr("mmengine.dataset.base_dataset.gc", SimpleNamespace(collect=lambda: 0))
        patch.setattr("mmengine.runner.runner.collect_env", dict)
        yield


SHARED = Path(__file__).parents[1] / "../shared"


@pytest.fixture(scope="session")
def refs():
    """Folder of the reference outputs of the original implementations."""
    if not (SHARED / "refs").is_dir():
        pytest.skip("needs ../shared/refs")
    return SHARED / "refs"


@pytest.fixture(scope="session")
def real_images():
    """Folder of real training and benchmark images."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs ../shared/data")
    return SHARED / "data"


@pytest.fixture
def paired_images(tmp_path):
    """Folder with six smooth images of 96x80 in ``HR`` and their halves in ``LR_bicubic/X2``."""
    write_paired_images(tmp_path / "pairs")
    return tmp_path / "pairs"


@pytest.fixture
def synthetic_table(tmp_path, monkeypatch):
    """Writes tables for torch with times made up from the shapes and names of the operators."""
    from mmsrnas.latency import OperatorTable, parse_target
    from mmsrnas.latency.table import Samples

    def milliseconds(self, operator):
        shapes = re.findall(r"\d\[([\d, ]+)\]", operator.key)
        sizes = [math.prod(map(int, shape.split(","))) for shape in shapes]
        return Samples(1e-3 * sum(sizes) + zlib.crc32(operator.key.encode()) % 97 / 970)

    def write(target):
        path = tmp_path / f"{target.replace(':', '_')}.json"
        OperatorTable(parse_target(target)).save(path)
        return str(path)

    monkeypatch.setattr(OperatorTable, "_measure", milliseconds)
    return write
