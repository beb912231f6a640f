# Trains HiNAS networks by uniform paths on DIV2K: six hours of a CPU core (estimate).
# Then tools/select_front.py judges them, and tools/derive.py takes one for a budget.
_base_ = [
    "../_base_/models/hinas_sr_paths.py",
    "../_base_/datasets/div2k_x2.py",
    "../_base_/schedules/path_search.py",
]

model = dict(generator=dict(space=dict(num_cells=2, num_nodes=3, mid_channels=16)))
train_dataloader = dict(batch_size=8, dataset=dict(patch_size=48))
