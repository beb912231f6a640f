# Trains the networks of DLSR's space by uniform paths on DIV2K: an hour of a GPU (estimate).
# Then tools/select_front.py judges them, and tools/derive.py takes one for a budget.
_base_ = [
    "../_base_/models/dlsr_paths.py",
    "../_base_/datasets/div2k_x2.py",
    "../_base_/schedules/path_search.py",
]

model = dict(generator=dict(space=dict(mid_channels=48)))
train_dataloader = dict(batch_size=16, dataset=dict(patch_size=96))
