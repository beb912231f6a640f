# Searches elastic gray denoisers for sigma 50 on BSD500: days on a GPU (estimate).
_base_ = [
    "../_base_/models/elastic_search.py",
    "../_base_/datasets/bsd500_gray.py",
    "../_base_/schedules/elastic_search.py",
]

model = dict(
    generator=dict(upscale_factor=1, in_channels=1),
    data_preprocessor=dict(mean=[0.0], std=[255.0]),
)
