# Trains DRN-S x4 as released, a million iterations: weeks on a GPU (estimate).
# The released code trains the colour means too, by mistake.
_base_ = "drn_s_x4_df2k.py"

model = dict(generator=dict(train_mean_shift=True))
