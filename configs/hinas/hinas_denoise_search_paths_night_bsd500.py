# Trains HiNAS' denoisers by uniform paths on BSD500: six hours of a CPU core (estimate).
# Then tools/select_front.py judges them, and tools/derive.py takes one for a budget.
_base_ = [
    "../_base_/models/hinas_denoise_paths.py",
    "../_base_/datasets/bsd500_gray.py",
    "../_base_/schedules/path_search.py",
]

model = dict(generator=dict(space=dict(num_cells=3, num_nodes=4, mid_channels=10)))
train_dataloader = dict(batch_size=8, dataset=dict(patch_size=32))
