import cv2
import numpy as np
import pytest
import torch
from mmagic.models.base_models import BaseEditModel
from mmagic.models.data_preprocessors import DataPreprocessor
from mmagic.structures import DataSample
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from mmsrnas.datasets import read_image
from mmsrnas.datasets.noise import noise_generator
from mmsrnas.evaluation import PSNR, DenoisingPSNR
from mmsrnas.registry import DATASETS

MEAN, STD = (100.0, 110.0, 120.0), (50.0, 60.0, 70.0)
ONE_DRAW = 20 * np.log10(255 / 30)


class Network(nn.Module):
    """The identity, that notes the sizes that it sees."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def forward(self, x):
        self.sizes.append(tuple(x.shape))
        return x


class Ideal(nn.Module):
    """Returns a flat image of one colour, by the RGB values of its normalised input range."""

    def __init__(self, colour):
        super().__init__()
        self.colour = torch.tensor(colour)[:, None, None]

    def forward(self, x):
        return self.colour.expand(x.shape)


def edit(network, mean=(0.0,), std=(255.0,), order=None):
    preprocessor = DataPreprocessor(list(mean), list(std), output_channel_order=order)
    editor = BaseEditModel(
        generator=dict(type=nn.Identity),
        pixel_loss=dict(type=nn.L1Loss),
        data_preprocessor=preprocessor,
    )
    editor.generator = network
    return editor


def batch_of(images, names=None, order="rgb"):
    """A batch as the dataloader gives it: images ``(C, H, W)``, uint8, in this channel order."""
    samples = []
    for i, image in enumerate(images):
        sample = DataSample(gt_img=image)
        color = "grayscale" if len(image) == 1 else "color"
        meta = {f"{k}_channel_order": order for k in ("gt", "img")}
        meta |= {f"{k}_color_type": color for k in ("gt", "img")}
        sample.set_metainfo(meta | {"gt_path": names[i] if names else f"{i}.png"})
        samples.append(sample)
    return {"inputs": [image.float() for image in images], "data_samples": samples}


def evaluate(metric, editor, *batches):
    """Runs a test as the loop of mmagic does, whose results are those of each image."""
    metric.prepare(editor, type("Loader", (), {"dataset": [0]}))
    for batch in batches:
        outputs = editor.test_step(batch)
        metric.process(batch, [sample.to_dict() for sample in outputs])
    return [result[metric.metric] for result in metric.results]


def gray(height, width, value=128):
    return torch.full((1, height, width), value, dtype=torch.uint8)


def test_official_protocol_draws_noise_per_tile_and_averages():
    """The identity keeps the noise: averaging two to four draws of it gains 3 to 6 dB."""
    network = Network()
    official = DenoisingPSNR("official", sigma=30, quantize=False)
    (value,) = evaluate(official, edit(network), batch_of([gray(321, 481)]))
    assert set(network.sizes[1:]) == {(1, 1, 64, 64)}
    assert len(network.sizes[1:]) == 7 * 10
    assert ONE_DRAW + 1 < value < ONE_DRAW + 6


def test_official_protocol_without_overlap_is_one_draw():
    metric = DenoisingPSNR("official", sigma=30, stride=64, quantize=False)
    (value,) = evaluate(metric, edit(Network()), batch_of([gray(128, 128)]))
    assert value == pytest.approx(ONE_DRAW, abs=0.1)


@pytest.mark.parametrize("size", [(64, 64), (40, 50), (64, 65)])
def test_tiles_cover_small_and_exact_images(size):
    metric = DenoisingPSNR("official", sigma=10)
    (value,) = evaluate(metric, edit(Network()), batch_of([gray(*size)]))
    assert 20 < value < 40


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("output_order", [None, "RGB", "BGR"])
def test_an_ideal_colour_denoiser_is_perfect(order, output_order):
    """Whatever the channel order of data and network, and with a mean and deviation of each."""
    image = torch.tensor([200, 90, 30], dtype=torch.uint8)[:, None, None].expand(3, 70, 80)
    seen = image if (output_order or order).lower() == order else image.flip(0)
    colour = [(v - m) / s for v, m, s in zip(seen[:, 0, 0].tolist(), MEAN, STD, strict=True)]
    editor = edit(Ideal(colour), MEAN, STD, output_order)
    for protocol in ("official", "whole_image"):
        metric = DenoisingPSNR(protocol, sigma=50)
        assert evaluate(metric, editor, batch_of([image], order=order)) == [float("inf")]


def test_noise_has_sigma_in_gray_values_whatever_the_deviation_of_the_preprocessor():
    image = torch.full((3, 128, 128), 128, dtype=torch.uint8)
    metric = DenoisingPSNR("official", sigma=30, stride=64, quantize=False)
    (value,) = evaluate(metric, edit(Network(), MEAN, STD), batch_of([image]))
    assert value == pytest.approx(ONE_DRAW, abs=0.1)


def test_noise_depends_on_the_name_not_on_batch_order_or_process():
    names, images = ["a.png", "b.png", "c.png"], [gray(64, 70)] * 3

    def values(*batches):
        metric = DenoisingPSNR("official", sigma=30, quantize=False)
        batches = [batch_of([images[i] for i in b], [names[i] for i in b]) for b in batches]
        return evaluate(metric, edit(Network()), *batches)

    one_by_one = values([0], [1], [2])
    assert len(set(one_by_one)) == 3
    assert values([0, 1, 2]) == one_by_one
    # Two processes that share the images.
    assert values([1]) == one_by_one[1:2]
    assert values([2], [0]) == [one_by_one[2], one_by_one[0]]


def test_whole_image_protocol_is_psnr():
    sample = {"gt_img": gray(32, 32), "output": {"pred_img": gray(32, 32).float() + 5}}
    metrics = [DenoisingPSNR(), PSNR()]
    for metric in metrics:
        metric.process(None, [sample])
    values = [metric.results[0]["PSNR"] for metric in metrics]
    assert values == pytest.approx([20 * np.log10(255 / 5)] * 2)


@pytest.mark.parametrize("kind", ["color", "gray"])
def test_the_test_sets_of_the_configs_measure_the_noise(kind, tmp_path, request):
    """The PSNR of a noisy image, through dataset, preprocessor and metric, is that of its noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 7, 3), np.uint8)
    image = cv2.resize(coarse, (96, 80), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    config = request.config.rootpath / f"configs/_base_/datasets/bsd500_{kind}.py"
    dataset = Config.fromfile(config).test_dataloader[0].dataset
    dataset.update(data_root=str(tmp_path), data_prefix=dict(img="", gt=""))
    with DefaultScope.overwrite_default_scope("mmagic"):
        item = DATASETS.build(dataset)[0]
    batch = {key: [value] for key, value in item.items()}
    (value,) = evaluate(PSNR(quantize=False), edit(Network()), batch)
    if kind == "gray":
        image = read_image(tmp_path / "a.png", "grayscale")[..., None]
    noise = noise_generator(0, "a.png").standard_normal(image.shape)
    clean = image[..., ::-1].astype(float)
    error = np.clip(clean + 50 * noise, 0, 255) - clean
    assert value == pytest.approx(10 * np.log10(255**2 / np.square(error).mean()), abs=1e-3)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="protocol of DenoisingPSNR"):
        DenoisingPSNR("tiles")
    for sigma in (None, 0, 300):
        with pytest.raises(ValueError, match="sigma of DenoisingPSNR"):
            DenoisingPSNR("official", sigma=sigma)
