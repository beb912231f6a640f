# Trains six cells of HNAS by uniform paths on tools/demo.py's photographs: minutes (estimate).
# Then tools/select_front.py judges them, and tools/derive.py takes one for a budget.
_base_ = [
    "../_base_/models/hnas_paths.py",
    "../_base_/datasets/photographs_x2_architecture.py",
    "../_base_/schedules/path_search.py",
]

model = dict(generator=dict(space=dict(num_cells=6)))
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = dict(T_max=600)
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=600)
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=200, save_best=None, max_keep_ckpts=2)
)
log_processor = dict(window_size=20)
