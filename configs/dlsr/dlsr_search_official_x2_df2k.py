# Searches DLSR on DF2K as the released code does: days on a GPU (estimate).
# Cells read the best two of all before them, and the cost has no gradient.
_base_ = "dlsr_search_x2_df2k.py"

model = dict(generator=dict(variant="official"))

default_hooks = dict(arch_optimizer=dict(complexity_loss=None, entropy_weight=0))
