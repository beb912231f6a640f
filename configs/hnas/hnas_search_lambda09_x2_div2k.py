_base_ = "hnas_search_lambda06_x2_div2k.py"

train_cfg = dict(performance_weight=0.9)
