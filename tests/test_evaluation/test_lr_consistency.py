import numpy as np
import pytest
import torch
from mmagic.structures import DataSample

from mmsrnas.datasets import imresize
from mmsrnas.evaluation import PSNR, LRConsistency
from mmsrnas.registry import METRICS


def tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)


def test_is_the_psnr_of_the_downscaled_prediction():
    rng = np.random.default_rng(0)
    hr = rng.integers(0, 256, (32, 40, 3), np.uint8)
    lr = imresize(hr, 1 / 4)
    sr = np.clip(hr + rng.normal(0, 20, hr.shape), 0, 255).round()
    metric = LRConsistency(convert_to="Y")
    value = metric.process_image(tensor(lr), tensor(sr), None)
    expected = PSNR(convert_to="Y").process_image(
        tensor(lr), tensor(imresize(sr.astype(np.uint8), 1 / 4)), None
    )
    assert value == pytest.approx(float(expected))
    assert 20 < value < 60
    assert metric.process_image(tensor(lr), tensor(hr), None) == float("inf")


def test_reads_input_and_prediction_of_an_editor():
    rng = np.random.default_rng(0)
    lr = torch.from_numpy(rng.integers(0, 256, (3, 8, 8), np.uint8))
    sr = lr.float().repeat_interleave(2, 1).repeat_interleave(2, 2)
    metric = METRICS.build({"type": "mmsrnas.LRConsistency", "prefix": "Set5"})
    metric.process([], [{"input": lr, "output": DataSample(pred_img=sr).to_dict()}])
    (result,) = metric.results
    assert result["LR_PSNR"] == pytest.approx(metric.process_image(lr, sr, None))


def test_size_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match="no multiple of the LR image"):
        LRConsistency().process_image(torch.zeros(3, 8, 8), torch.zeros(3, 16, 17), None)


def test_psnr_of_the_released_code(refs):
    """Clamped and rounded; its border is the scale on Y, and six more on RGB."""
    dump = torch.load(refs / "drn/metric.pt", weights_only=False)
    hr, sr = (dump[key][0].flip(0) for key in ("hr", "sr"))  # metrics read BGR
    y = PSNR(crop_border=4, convert_to="Y").process_image(hr, sr, None)
    assert y == pytest.approx(dump["psnr_benchmark_x4"], abs=1e-5)
    rgb = PSNR(crop_border=4 + 6).process_image(hr, sr, None)
    assert rgb == pytest.approx(dump["psnr_rgb_x4"], abs=1e-5)
    quantized = sr.clamp(0, 255).round()
    torch.testing.assert_close(quantized.flip(0), dump["quantized"][0], rtol=0, atol=0)
