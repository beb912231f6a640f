"""What a search writes about its result."""

import json

import cv2
import mmengine
import pytest
import tiny_search
import torch

import mmsrnas
from mmsrnas.engine.hooks import genotype_hook
from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype, load_genotype
from mmsrnas.genotypes.drawing import draw_genotype


def test_files(images, monkeypatch):
    monkeypatch.setattr(genotype_hook, "draw_genotype", draw_genotype)
    runner = tiny_search.runner(
        images, iters=5, val_interval=3, hooks=[{"type": "mmsrnas.GenotypeHook"}]
    )
    alpha = runner.model.generator.alpha
    model = runner.train()
    folder = images / "run"
    expected = [DLSR_OPS[i] for i in alpha.argmax(1)]
    assert load_genotype(folder / "genotype.json") == model.generator.genotype()
    data = json.loads((folder / "genotype.json").read_text())
    assert data["ops"] == expected
    assert data["provenance"] == {
        "config": None,
        "seed": 3,
        "iteration": 5,
        "versions": {
            "mmsrnas": mmsrnas.__version__,
            "torch": torch.__version__,
            "mmengine": mmengine.__version__,
            "mmagic": "1.2.0",
        },
    }
    drawing = cv2.imread(str(folder / "genotype.png"))
    assert drawing.min() < 128 < drawing.mean()
    (shown,) = (path.parent for path in folder.glob("*/vis_data/vis_image/genotype_3.png"))
    assert sorted(path.name for path in shown.iterdir()) == ["genotype_3.png", "genotype_5.png"]


def test_each_validation_writes(images, monkeypatch):
    written = []
    save = DLSRGenotype.save

    def record(genotype, path, provenance):
        written.append(provenance["iteration"])
        save(genotype, path, provenance)

    monkeypatch.setattr(DLSRGenotype, "save", record)
    hooks = [{"type": "mmsrnas.GenotypeHook"}]
    tiny_search.runner(images, iters=5, val_interval=2, hooks=hooks).train()
    assert written == [2, 4, 5, 5]  # every validation, the last one included, and the end


def test_validation_alone_writes_nothing(images):
    hooks = [{"type": "mmsrnas.GenotypeHook"}]
    # `save_best` of mmengine needs a training run.
    options = {"run": "validated", "val_interval": 2, "hooks": hooks, "default_hooks": {}}
    runner = tiny_search.runner(images, **options)
    runner.val()
    assert runner.message_hub.get_scalar("val/tiny/PSNR").current() > 0
    assert not (images / "validated" / "genotype.json").exists()


def hook(monkeypatch, images, scores, run="best", **kwargs):
    """Runs a search whose validations have these scores; the iterations that were written."""
    written, scores = [], iter(scores)
    monkeypatch.setattr(
        DLSRGenotype, "save", lambda genotype, path, origin: written.append(origin["iteration"])
    )
    monkeypatch.setattr(
        "mmsrnas.evaluation.PSNR.evaluate", lambda metric, size=None: {"tiny/PSNR": next(scores)}
    )
    hooks = [{"type": "mmsrnas.GenotypeHook", "best": {"tiny/PSNR": 1.0}} | kwargs]
    options = {"iters": 5, "val_interval": 1, "hooks": hooks, "exact": False, "run": run}
    options["default_hooks"] = {}
    tiny_search.runner(images, **options).train()
    return written


def test_best_genotype_is_kept(images, monkeypatch):
    assert hook(monkeypatch, images, [1.0, 3.0, 2.0, float("nan"), 3.0]) == [1, 2]
    assert hook(monkeypatch, images, [9.0, 3.0, 2.0, 4.0, 3.0], best_from=2) == [2, 4]
    # Nothing counted: the genotype of the end.
    assert hook(monkeypatch, images, [9.0] * 5, best_from=9) == [5]


def test_best_score_is_in_checkpoints(images):
    """A resumed search does not overwrite a better genotype."""
    hooks = [{"type": "mmsrnas.GenotypeHook", "best": {"tiny/PSNR": 1.0}}]
    runner = tiny_search.runner(images, run="kept", iters=2, val_interval=1, hooks=hooks)
    runner.train()
    best = runner.message_hub.get_info("best_genotype_score")
    runner = tiny_search.runner(
        images, run="kept", iters=3, val_interval=1, hooks=hooks, resume=True
    )
    runner.load_or_resume()
    assert runner.message_hub.get_info("best_genotype_score") == best > 0


def test_unknown_metric_is_named(images, monkeypatch):
    with pytest.raises(KeyError, match=r"no metric 'Set5/PSNR'; it has tiny/PSNR"):
        hook(monkeypatch, images, [1.0] * 5, best={"Set5/PSNR": 1.0})
