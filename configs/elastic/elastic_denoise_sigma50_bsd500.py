# Trains an elastic gray denoiser for sigma 50 on BSD500: a day on a GPU (estimate).
# A searched one:
# --cfg-options
#     model.generator.genotype=work_dirs/elastic_search_denoise_sigma50_bsd500/front/genotype.json
_base_ = [
    "../_base_/models/elastic.py",
    "../_base_/datasets/bsd500_gray.py",
    "../_base_/schedules/elastic_train.py",
]

model = dict(
    generator=dict(upscale_factor=1, in_channels=1),
    data_preprocessor=dict(mean=[0.0], std=[255.0]),
)
