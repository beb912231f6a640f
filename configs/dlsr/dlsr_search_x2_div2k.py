_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/dlsr_search.py",
    "../_base_/datasets/div2k_search_x2.py",
    "../_base_/schedules/dlsr_search.py",
]

custom_hooks = _base_.custom_hooks
custom_hooks[0].dataloader = _base_.arch_dataloader
