"""Fixtures of the tests of what is done with a trained network."""

import pytest
import torch


@pytest.fixture
def tiny(tmp_path):
    """File of a tiny DLSR as a training writes it: config and genotype are inside."""
    from mmsrnas.models import DLSRNet

    net = DLSRNet("DLSR_TINY", 2, mid_channels=8)
    state = {f"generator.{name}": value for name, value in net.state_dict().items()}
    cfg = (
        "model = dict(type='BaseEditModel', generator=dict(type='mmsrnas.DLSRNet', "
        "genotype='gone.json', mid_channels=8), data_preprocessor=dict(type='DataPreprocessor', "
        "mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0]))\n"
    )
    meta = {"cfg": cfg, "genotype": net.genotype.to_dict(), "iter": 1}
    torch.save({"state_dict": state, "meta": meta}, tmp_path / "tiny.pth")
    return tmp_path / "tiny.pth", net.eval()
