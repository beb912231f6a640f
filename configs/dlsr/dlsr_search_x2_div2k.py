_base_ = [
    "../_base_/models/dlsr_search.py",
    "../_base_/datasets/div2k_search_x2.py",
    "../_base_/schedules/dlsr_search.py",
]

default_hooks = dict(arch_optimizer=dict(dataloader=_base_.arch_dataloader))
