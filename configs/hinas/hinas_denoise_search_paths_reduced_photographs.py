# Trains small HiNAS denoisers by uniform paths on photographs of a demo: minutes (estimate).
# Then tools/select_front.py judges them, and tools/derive.py takes one for a budget.
_base_ = [
    "../_base_/models/hinas_denoise_paths.py",
    "../_base_/datasets/photographs_gray.py",
    "../_base_/schedules/path_search.py",
]

model = dict(generator=dict(space=dict(num_cells=2, num_nodes=2, mid_channels=4)))
# As released: its loss is on [0, 1].
optim_wrapper = dict(optimizer=dict(eps=1e-8))
train_dataloader = dict(batch_size=8)

# The photographs of the architecture judge: whole ones, not patches.
val_dataloader = dict(
    _base_.test_dataloader[0],
    dataset=dict(
        _base_.test_dataloader[0]["dataset"],
        data_prefix=dict(img="architecture", gt="architecture"),
    ),
    _delete_=True,
)
val_evaluator = dict(
    type="Evaluator",
    metrics=[dict(type="mmsrnas.PSNR", prefix="architecture")],
    _delete_=True,
)
val_cfg = dict(_delete_=True, type="MultiValLoop")
param_scheduler = dict(T_max=600)
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=600)
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=200, save_best=None, max_keep_ckpts=2)
)
log_processor = dict(window_size=20)
