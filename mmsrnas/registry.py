"""Registries of mmsrnas: one child for every registry of mmagic, in the scope ``mmsrnas``.

A config keeps ``default_scope = 'mmagic'`` and writes ``type='mmsrnas.DLSRNet'``; mmengine then
imports this module by its name, without any ``custom_imports``.  The locations of the parent are
repeated because mmengine does not import the modules of a parent registry on its own.
"""

import mmagic.registry as parent
from mmengine.registry import Registry

__all__ = [
    "DATASETS",
    "HOOKS",
    "LOOPS",
    "METRICS",
    "MODELS",
    "OPS",
    "OPTIM_WRAPPER_CONSTRUCTORS",
    "RUNNERS",
    "TRANSFORMS",
    "VISUALIZERS",
]


def _child(name: str, locations: list[str]) -> Registry:
    registry: Registry = getattr(parent, name)
    return Registry(
        registry.name,
        parent=registry,
        scope="mmsrnas",
        locations=locations + registry._locations,
    )


RUNNERS = _child("RUNNERS", ["mmsrnas.engine"])
LOOPS = _child("LOOPS", ["mmsrnas.engine"])
HOOKS = _child("HOOKS", ["mmsrnas.engine"])
OPTIM_WRAPPER_CONSTRUCTORS = _child("OPTIM_WRAPPER_CONSTRUCTORS", ["mmsrnas.engine"])
VISUALIZERS = _child("VISUALIZERS", [])
DATASETS = _child("DATASETS", ["mmsrnas.datasets"])
TRANSFORMS = _child("TRANSFORMS", ["mmsrnas.datasets"])
METRICS = _child("METRICS", ["mmsrnas.evaluation"])
MODELS = _child("MODELS", ["mmsrnas.models", "mmsrnas.models.editors"])

OPS = Registry("candidate operation", scope="mmsrnas", locations=["mmsrnas.models.ops"])
