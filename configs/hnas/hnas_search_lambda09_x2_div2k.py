# Searches the space of the paper with lambda 0.9, 201,000 iterations: days on a GPU, not measured.
_base_ = "hnas_search_lambda06_x2_div2k.py"

train_cfg = dict(reward=dict(performance_weight=0.9))
