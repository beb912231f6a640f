import pytest
import torch

from mmsrnas.models.hinas.official import translate_official_genotype


@pytest.fixture
def dump(refs):
    """Loads a reference of the original implementation: the dictionary, and its genotype."""

    def load(name):
        data = torch.load(refs / "hinas" / f"{name}.pt", weights_only=False)
        cells, path = data["genotype"]
        return data, translate_official_genotype(cells, path, int(name.split("F")[1].split("_")[0]))

    return load
