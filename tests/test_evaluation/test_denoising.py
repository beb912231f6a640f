from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmsrnas.evaluation import DenoisingPSNR


class Network(nn.Module):
    """The identity, that notes the sizes that it sees."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))
        self.sizes = []

    def forward(self, x):
        self.sizes.append(tuple(x.shape))
        return x * self.factor


def evaluate(metric, network, gt, pred=None):
    module = SimpleNamespace(generator=network, data_preprocessor=None)
    metric.prepare(module, SimpleNamespace(dataset=[0]))
    sample = {"gt_img": gt, "output": {"pred_img": gt if pred is None else pred}}
    metric.process(None, [sample])
    assert sample["output"]["pred_img"] is (gt if pred is None else pred)
    return metric.evaluate()


def test_official_protocol_draws_noise_per_tile_and_averages():
    """The identity keeps the noise: averaging two to four draws of it gains 3 to 6 dB."""
    gt = torch.full((1, 321, 481), 128, dtype=torch.uint8)
    network = Network()
    official = DenoisingPSNR("official", sigma=30, quantize=False)
    value = evaluate(official, network, gt)["PSNR_official"]
    assert set(network.sizes) == {(1, 1, 64, 64)}
    assert len(network.sizes) == 7 * 10
    one_draw = 20 * torch.log10(torch.tensor(255 / 30)).item()
    assert one_draw + 1 < value < one_draw + 6
    again = DenoisingPSNR("official", sigma=30, quantize=False)
    assert evaluate(again, Network(), gt)["PSNR_official"] == value


def test_official_protocol_without_overlap_is_one_draw():
    gt = torch.full((1, 128, 128), 128, dtype=torch.uint8)
    metric = DenoisingPSNR("official", sigma=30, stride=64, quantize=False)
    value = evaluate(metric, Network(), gt)["PSNR_official"]
    assert value == pytest.approx(20 * torch.log10(torch.tensor(255 / 30)).item(), abs=0.1)


def test_tiles_cover_small_and_exact_images():
    for size in ((64, 64), (40, 50), (64, 65)):
        gt = torch.full((1, *size), 128, dtype=torch.uint8)
        value = evaluate(DenoisingPSNR("official", sigma=10), Network(), gt)["PSNR_official"]
        assert 20 < value < 40


def test_whole_image_protocol_is_psnr():
    gt = torch.full((1, 32, 32), 128, dtype=torch.uint8)
    value = evaluate(DenoisingPSNR(), Network(), gt, gt.float() + 5)["PSNR"]
    assert value == pytest.approx(20 * torch.log10(torch.tensor(255 / 5)).item())


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="protocol of DenoisingPSNR"):
        DenoisingPSNR("tiles")
    for sigma in (None, 0, 300):
        with pytest.raises(ValueError, match="sigma of DenoisingPSNR"):
            DenoisingPSNR("official", sigma=sigma)
