# The search as released: six candidates up to 70 % of the channels, no price, small steps.
_base_ = "drc_search_x4_div2k.py"

model = dict(generator=dict(candidates="official", budget=0.7))

default_hooks = dict(arch_optimizer=dict(optimizer=dict(lr=3e-4), complexity_loss=None))
