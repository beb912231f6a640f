# Trains the denoiser found by tools/demo_denoise.py: minutes on a CPU core (estimate).
# --cfg-options model.generator.genotype=work_dirs/demo_denoise/genotype.json names it; the
# photographs of both parts of the search train it.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/hinas_denoise.py",
    "../_base_/datasets/photographs_gray.py",
]

model = dict(generator=dict(mid_channels=8))

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 8
train_dataloader.dataset = dict(
    type="ConcatDataset", datasets=[train_dataloader.dataset, _base_.arch_dataloader.dataset]
)

optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="Adam", lr=2e-3, eps=1e-8))
param_scheduler = dict(type="CosineAnnealingLR", by_epoch=False, T_max=300, eta_min=1e-5)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=300)
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=300, save_best=None, max_keep_ckpts=2)
)
log_processor = dict(window_size=20)
