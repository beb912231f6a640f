# Searches HNAS with lambda 0.9, 201,000 iterations: days on a GPU (estimate).
_base_ = "hnas_search_lambda06_x2_div2k.py"

train_cfg = dict(reward=dict(performance_weight=0.9))
