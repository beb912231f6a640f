# Trains a small elastic network on the photographs of tools/demo.py: minutes on a core (estimate).
# --cfg-options
#     model.generator.genotype=work_dirs/elastic_search_reduced_x2_photographs/front/genotype.json
_base_ = [
    "../_base_/models/elastic.py",
    "../_base_/datasets/photographs_x2.py",
    "../_base_/schedules/elastic_train.py",
]

optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = dict(T_max=600)
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=600)
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=200, save_best=None, max_keep_ckpts=2)
)
log_processor = dict(window_size=20)
