# Searches small elastic networks on the photographs of tools/demo.py: minutes on a core (estimate).
_base_ = [
    "../_base_/models/elastic_search.py",
    "../_base_/datasets/photographs_x2_architecture.py",
    "../_base_/schedules/elastic_search.py",
]

model = dict(generator=dict(num_cells=(2, 4, 6, 8), mid_channels=(8, 16, 24), cells_per_stage=4))
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = dict(T_max=600)
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=600)
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=200, save_best=None, max_keep_ckpts=2)
)
log_processor = dict(window_size=20)
