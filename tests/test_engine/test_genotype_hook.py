"""What a search writes about its result."""

import json

import cv2
import mmengine
import tiny_search
import torch

import mmsrnas
from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype, load_genotype


def test_files(images):
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
