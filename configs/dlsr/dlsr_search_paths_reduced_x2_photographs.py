# Trains small DLSR networks by uniform paths on tools/demo.py's photographs: minutes (estimate).
# Then tools/select_front.py judges them, and tools/derive.py takes one for a budget.
_base_ = [
    "../_base_/models/dlsr.py",
    "../_base_/datasets/photographs_x2.py",
    "../_base_/schedules/path_search.py",
]

model = dict(
    type="mmsrnas.PathEditor",
    generator=dict(
        _delete_=True,
        type="mmsrnas.SharedSupernet",
        space=dict(type="mmsrnas.DLSRSpace", mid_channels=16, upscale_factor=2),
    ),
)

# The photographs of the architecture judge: whole ones, not patches.
val_dataloader = dict(
    _base_.test_dataloader[0],
    dataset=dict(_base_.test_dataloader[0]["dataset"], data_root="data/demo/architecture"),
    _delete_=True,
)
val_evaluator = dict(
    type="Evaluator",
    metrics=[dict(type="mmsrnas.PSNR", crop_border=2, convert_to="Y", prefix="architecture")],
    _delete_=True,
)
val_cfg = dict(_delete_=True, type="MultiValLoop")
param_scheduler = dict(T_max=600)
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=600)
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=200, save_best=None, max_keep_ckpts=2)
)
log_processor = dict(window_size=20)
