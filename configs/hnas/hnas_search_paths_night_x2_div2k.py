# Trains HNAS networks by uniform paths on DIV2K: six hours of a CPU core (estimate).
# Then tools/select_front.py judges them, and tools/derive.py takes one for a budget.
_base_ = "hnas_search_paths_x2_div2k.py"

train_dataloader = dict(batch_size=8, dataset=dict(patch_size=48))
