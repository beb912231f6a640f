# Trains HiNAS' denoisers by uniform paths on BSD500: six hours of a CPU core (estimate).
# Then tools/select_front.py judges them, and tools/derive.py takes one for a budget.
_base_ = "hinas_denoise_search_paths_bsd500.py"

train_dataloader = dict(batch_size=8, dataset=dict(patch_size=32))
