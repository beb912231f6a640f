# The search as released: six candidates up to 70 % of the channels, no price, small steps.
_base_ = "drc_search_x4_div2k.py"

model = dict(generator=dict(candidates="official", budget=0.7))

custom_hooks = _base_.custom_hooks
custom_hooks[0].optimizer.lr = 3e-4
custom_hooks[0].complexity_loss = None
