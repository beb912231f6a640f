# A search that one CPU core finishes in minutes (docs/hnas.md): six layers, on patches of 48x48.
# Weights see training images of BSDS500, the policy test images; architectures are ranked on
# squares of 256x256 of DIV2K.
_base_ = "hnas_search_lambda06_x2_div2k.py"

model = dict(generator=dict(num_layers=6))

train_dataloader = _base_.train_dataloader
train_dataloader.batch_size = 8
train_dataloader.num_workers = 0
train_dataloader.dataset.data_root = "data/BSDS500/train"
train_dataloader.dataset.data_prefix = dict(img="LR_bicubic/X{scale}_sub", gt="HR_sub")
train_dataloader.dataset.filename_tmpl = dict(img="{}", gt="{}")
train_dataloader.dataset.pipeline[3].gt_patch_size = 48
train_dataloader.dataset.index_range = None

policy_dataloader = dict(
    train_dataloader,
    batch_size=4,
    dataset=dict(train_dataloader.dataset, data_root="data/BSDS500/test"),
)

val_dataloader = _base_.val_dataloader
val_dataloader.num_workers = 0
val_dataloader.dataset.data_root = "data/DIV2K_squares"
val_dataloader.dataset.data_prefix = dict(img="LR_bicubic/X{scale}", gt="HR")
val_dataloader.dataset.index_range = (0, 6)

warmup, turns = 700, 8
total = warmup + turns * (20 + 20)
optim_wrapper = dict(weights=dict(optimizer=dict(lr=1e-2)), policy=dict(optimizer=dict(lr=4e-3)))
param_scheduler = dict(
    weights=[dict(type="CosineAnnealingLR", by_epoch=False, T_max=total, eta_min=1e-5)],
    policy=[dict(type="ConstantLR", by_epoch=False, factor=1.0)],
)
train_cfg = dict(
    max_iters=total,
    val_interval=total,
    policy_dataloader=policy_dataloader,
    warmup_iters=warmup,
    weight_iters=20,
    policy_iters=20,
    num_references=8,
)
# Lambda does not matter before the turns: searches with other values resume from here.
default_hooks = dict(logger=dict(interval=5), checkpoint=dict(interval=warmup))
log_processor = dict(window_size=5)
