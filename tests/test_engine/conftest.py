"""Images, and processes that start in no time."""

import multiprocessing
import os
from pathlib import Path

import pytest
import tiny_search

from mmsrnas.engine.hooks import genotype_hook

PRELOADED = ["tiny_search", "mmagic.models", "mmsrnas.engine", "matplotlib.pyplot"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def quick_searches():
    """Leaves drawings out, but for the test of what the hook draws."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(genotype_hook, "draw_genotype", tiny_search.undrawn)
        yield


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Folder with the images of the tiny search."""
    folder = tmp_path_factory.mktemp("images")
    tiny_search.write_images(folder)
    return folder


@pytest.fixture(scope="session")
def start():
    """Starts a function of ``tiny_search`` in a new process that has imported everything."""
    paths = [str(ROOT), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        patch.setenv("OMP_NUM_THREADS", "1")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)

        def start(function, *args, **kwargs):
            process = context.Process(target=function, args=args, kwargs=kwargs)
            process.start()
            return process

        yield start
