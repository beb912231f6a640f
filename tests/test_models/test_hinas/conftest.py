import pytest
import torch
from hinas_official import translate_official_genotype

DENOISE = dict(task="denoise", upscale_factor=1, in_channels=1)


@pytest.fixture
def dump(refs):
    """Loads a reference of the original implementation: the dictionary, and its genotype."""

    def load(name):
        data = torch.load(refs / "hinas" / f"{name}.pt", weights_only=False)
        cells, path = data["genotype"]
        kind, tail = name.removeprefix("super_").split("F")
        fields = DENOISE if kind == "dn_" else dict(upscale_factor=int(kind[4]))
        width = int(tail.split("_")[0])
        genotype = translate_official_genotype(
            cells, path, mid_channels=width, variant="official", **fields
        )
        return data, genotype

    return load
