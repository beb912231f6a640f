# Trains DRN-L x8 with its dual networks, a million iterations: weeks on a GPU (estimate).
_base_ = "drn_s_x8_df2k.py"

model = dict(generator=dict(num_blocks=36, mid_channels=10), dual_network=dict(mid_channels=10))
