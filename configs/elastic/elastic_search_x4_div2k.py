# Searches elastic networks at scale 4 on DIV2K, once for every budget: days on a GPU (estimate).
# Then tools/select_front.py judges the networks, and tools/derive.py takes one for a budget.
_base_ = [
    "../_base_/models/elastic_search.py",
    "../_base_/datasets/div2k_x4.py",
    "../_base_/schedules/elastic_search.py",
]

model = dict(generator=dict(upscale_factor=4))
