# Trains a small DLSR on the photographs of tools/demo.py: minutes on a CPU core (estimate).
# --cfg-options
#     model.generator.genotype=work_dirs/dlsr_search_tiny_x2_photographs/genotype.json
# names the one that was searched; the photographs of both parts of the search train it.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/dlsr.py",
    "../_base_/datasets/photographs_x2.py",
]

# The interpolation is added to the output; what features of unit variance make is divided by 16.
model = dict(generator=dict(genotype="DLSR_TINY", global_skip=True, img_range=16.0))
custom_hooks = [dict(type="mmsrnas.UnitVarianceHook")]

train_dataloader = _base_.train_dataloader
train_dataloader.dataset = dict(
    type="ConcatDataset", datasets=[train_dataloader.dataset, _base_.arch_dataloader.dataset]
)

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="Adam", lr=3e-3, eps=1e-8 / 255),
    clip_grad=dict(max_norm=1),
)
param_scheduler = [
    dict(type="LinearLR", by_epoch=False, start_factor=0.1, end=100),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=100, end=1600, eta_min=1e-5),
]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=1600)
default_hooks = dict(
    logger=dict(interval=50), checkpoint=dict(interval=800, save_best=None, max_keep_ckpts=2)
)
log_processor = dict(window_size=50)
