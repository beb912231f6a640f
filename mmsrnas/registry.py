"""Registries of mmsrnas: one child for every registry of mmagic, in the scope ``mmsrnas``.

A config keeps ``default_scope = 'mmagic'`` and writes ``type='mmsrnas.DLSRNet'``; mmengine then
imports this module by its name, without any ``custom_imports``.  The locations of the parent are
repeated because mmengine does not import the modules of a parent registry on its own.
"""

import mmagic.registry as mmagic
from mmengine.registry import Registry

__all__ = [
    "DATASETS",
    "DATA_SAMPLERS",
    "DIFFUSION_SCHEDULERS",
    "EVALUATORS",
    "HOOKS",
    "LOG_PROCESSORS",
    "LOOPS",
    "METRICS",
    "MODELS",
    "MODEL_WRAPPERS",
    "OPTIMIZERS",
    "OPTIM_WRAPPERS",
    "OPTIM_WRAPPER_CONSTRUCTORS",
    "PARAM_SCHEDULERS",
    "RUNNERS",
    "RUNNER_CONSTRUCTORS",
    "TASK_UTILS",
    "TRANSFORMS",
    "VISBACKENDS",
    "VISUALIZERS",
    "WEIGHT_INITIALIZERS",
]


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(
        parent.name,
        parent=parent,
        scope="mmsrnas",
        locations=[*locations, *parent._locations],
    )


RUNNERS = _child(mmagic.RUNNERS, "mmsrnas.engine")
RUNNER_CONSTRUCTORS = _child(mmagic.RUNNER_CONSTRUCTORS)
LOOPS = _child(mmagic.LOOPS, "mmsrnas.engine")
HOOKS = _child(mmagic.HOOKS, "mmsrnas.engine")
LOG_PROCESSORS = _child(mmagic.LOG_PROCESSORS)
OPTIMIZERS = _child(mmagic.OPTIMIZERS)
OPTIM_WRAPPERS = _child(mmagic.OPTIM_WRAPPERS, "mmsrnas.engine")
OPTIM_WRAPPER_CONSTRUCTORS = _child(mmagic.OPTIM_WRAPPER_CONSTRUCTORS, "mmsrnas.engine")
PARAM_SCHEDULERS = _child(mmagic.PARAM_SCHEDULERS, "mmsrnas.engine")

DATASETS = _child(mmagic.DATASETS, "mmsrnas.datasets")
DATA_SAMPLERS = _child(mmagic.DATA_SAMPLERS)
TRANSFORMS = _child(mmagic.TRANSFORMS, "mmsrnas.datasets")

MODELS = _child(mmagic.MODELS, "mmsrnas.models", "mmsrnas.models.editors", "mmsrnas.pruning")
MODEL_WRAPPERS = _child(mmagic.MODEL_WRAPPERS)
WEIGHT_INITIALIZERS = _child(mmagic.WEIGHT_INITIALIZERS)
TASK_UTILS = _child(mmagic.TASK_UTILS, "mmsrnas.models")
DIFFUSION_SCHEDULERS = _child(mmagic.DIFFUSION_SCHEDULERS)

METRICS = _child(mmagic.METRICS, "mmsrnas.evaluation")
EVALUATORS = _child(mmagic.EVALUATORS)

VISUALIZERS = _child(mmagic.VISUALIZERS)
VISBACKENDS = _child(mmagic.VISBACKENDS)
