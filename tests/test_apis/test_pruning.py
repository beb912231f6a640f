import copy
import itertools

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmsrnas.apis import prune
from mmsrnas.apis.pruning import training_loss
from mmsrnas.datasets import imresize
from mmsrnas.genotypes import GenotypeError, load_genotype
from mmsrnas.models import DRNNet
from mmsrnas.pruning import ChannelSelector, PrunedNet
from mmsrnas.registry import MODELS

DRN = dict(type="mmsrnas.DRNNet", upscale_factor=2, num_blocks=1, mid_channels=8)
EDSR = dict(type="EDSRNet", mid_channels=16, num_blocks=2, upscale_factor=2)
GRAY = dict(in_channels=1, out_channels=1, rgb_mean=[0.5], rgb_std=[1.0])
COLOR = dict(in_channels=3, out_channels=3)


def load(key, color_type="color"):
    return dict(type="LoadImageFromFile", key=key, color_type=color_type, channel_order="rgb")


def config(root, color_type="color"):
    """A DRN of two scales with one block, and pairs of 32x32 patches."""
    dataset = dict(
        type="mmsrnas.PairedImageDataset",
        scale=2,
        data_root=str(root),
        data_prefix=dict(img="LR_bicubic/X2", gt="HR"),
        filename_tmpl=dict(img="{}x2", gt="{}"),
        pipeline=[
            load("img", color_type),
            load("gt", color_type),
            dict(type="PairedRandomCrop", gt_patch_size=32),
            dict(type="PackInputs"),
        ],
        serialize_data=False,  # or mmengine collects garbage, half a second each time
    )
    gray = color_type == "grayscale"
    return Config(
        dict(
            default_scope="mmagic",
            model=dict(
                type="mmsrnas.DualRegressionEditor",
                generator=dict(DRN),
                dual_network=dict(type="mmsrnas.DualNet", mid_channels=8),
                pyramid=True,
                pixel_loss=dict(type="L1Loss"),
                data_preprocessor=dict(
                    type="DataPreprocessor",
                    mean=[0.0] * (1 if gray else 3),
                    std=[255.0] * (1 if gray else 3),
                ),
            ),
            train_dataloader=dict(
                batch_size=2,
                num_workers=0,
                sampler=dict(type="InfiniteSampler", shuffle=True),
                dataset=dataset,
            ),
        )
    )


def build(cfg, file):
    """A random editor of the config, and its checkpoint."""
    init_default_scope("mmagic")
    torch.manual_seed(0)
    editor = MODELS.build(copy.deepcopy(cfg.model))
    torch.save({"state_dict": editor.state_dict()}, file)
    return editor


class Job:
    """A small pruning that takes a fraction of a second."""

    def __init__(self, folder, cfg):
        self.folder, self.cfg = folder, cfg
        self.editor = build(cfg, folder / "full.pth")
        self.options = dict(num_batches=2, lr=1e-4, channels_per_step=4)

    def __call__(self, name="out", **kwargs):
        options = self.options | kwargs
        cfg = options.pop("cfg", self.cfg)
        checkpoint = self.folder / options.pop("checkpoint", "full.pth")
        if not options.keys() & {"genotype", "uniform", "random"}:
            options["genotype"] = self.editor.generator.genotype.replace(widths=(4, 4, 8))
        return prune(cfg, checkpoint, self.folder / name, **options)


@pytest.fixture
def job(tmp_path, paired_images):
    return Job(tmp_path, config(paired_images))


def weights_of_file(file):
    return torch.load(file, weights_only=True)["state_dict"]


def weights_of(result):
    return weights_of_file(result.checkpoint)


def generator_of(weights):
    prefix = "generator."
    return {k.removeprefix(prefix): w for k, w in weights.items() if k.startswith(prefix)}


@pytest.mark.parametrize("criterion", ["dual_regression", "l1", "random"])
def test_pruned_network_is_rebuilt_from_its_files_and_comes_from_the_full_one(job, criterion):
    result = job(criterion=criterion)
    saved = torch.load(result.checkpoint, weights_only=True)
    weights = saved["state_dict"]
    for genotype in (result.genotype_file, saved["meta"]["genotype"]):
        net = DRNNet(genotype=genotype)
        net.load_state_dict(generator_of(weights), strict=True)
        assert net.genotype == result.genotype
        assert net.genotype.widths == (4, 4, 8)
    full = job.editor.state_dict()
    before = sum(p.numel() for p in job.editor.generator.parameters())
    assert result.params == (before, sum(p.numel() for p in net.parameters()))
    assert result.multi_adds[1] < result.multi_adds[0]
    assert torch.equal(weights["generator.tails.1.weight"], full["generator.tails.1.weight"])
    duals = [name for name in full if name.startswith("dual_networks.")]
    assert duals and all(torch.equal(weights[name], full[name]) for name in duals)
    # Each remaining row of the first convolution is one of the full network, in its order.
    rows = full["generator.up_blocks.0.blocks.0.conv1.weight"].flatten(1)
    kept = weights["generator.up_blocks.0.blocks.0.conv1.weight"].flatten(1)
    indices = [int((rows == row).all(1).nonzero()) for row in kept]
    assert indices == sorted(indices) and len(indices) == 4


def losses_of(monkeypatch, job, **kwargs):
    """The losses that the selection sees on the full network, in the order of its batches."""
    seen = []

    def run(selector, state_file=None):
        seen.extend(float(selector.objective(batch).detach()) for batch in selector.batches)
        raise KeyboardInterrupt

    monkeypatch.setattr(ChannelSelector, "run", run)
    with pytest.raises(KeyboardInterrupt):
        job("loss", **kwargs)
    return seen


def unpaired(cfg, root):
    """Half of the samples are LR images without HR, whose ``gt_img`` is a black placeholder."""
    paired = cfg.train_dataloader.dataset
    lr = dict(
        type="BasicImageDataset",
        data_root=str(root),
        data_prefix=dict(img="LR_bicubic/X2"),
        pipeline=[
            load("img"),
            dict(type="Crop", keys=["img"], crop_size=(16, 16), random_crop=True),
            dict(type="PackInputs"),
        ],
        serialize_data=False,
    )
    mixed = dict(type="mmsrnas.MixedImageDataset", scale=2, unpaired_share=0.5)
    cfg.train_dataloader.dataset = mixed | dict(datasets=[paired, lr])
    cfg.train_dataloader.batch_size = 4


def bgr(cfg, root):
    for transform in cfg.train_dataloader.dataset.pipeline[:2]:
        transform.channel_order = "bgr"


def other_weights(cfg, root):
    cfg.model.dual_loss = dict(type="mmsrnas.DualRegressionLoss", loss_weight=7.0)
    cfg.model.pixel_loss.loss_weight = 3.0


@pytest.mark.parametrize("change", [unpaired, bgr, other_weights])
def test_selection_has_the_very_loss_of_the_training(job, paired_images, monkeypatch, change):
    """Metadata of the samples included: unpaired samples, channel order."""
    plain = losses_of(monkeypatch, job)
    change(job.cfg, paired_images)
    # Random crops come from the global state of NumPy, which the seed of the job sets.
    expected = []
    monkeypatch.setattr(
        "mmsrnas.apis.pruning.islice",
        lambda batches, count: expected.extend(itertools.islice(batches, count)) or expected,
    )
    found = losses_of(monkeypatch, job)
    editor = MODELS.build(copy.deepcopy(job.cfg.model)).eval()
    editor.load_state_dict(job.editor.state_dict())
    values = []
    for batch in expected:
        data = editor.data_preprocessor(batch, True)
        with torch.no_grad():
            values.append(sum(editor(**data, mode="loss").values()).item())
    assert found == pytest.approx([255 * value for value in values], rel=1e-6)
    assert found != pytest.approx(plain, rel=1e-3)


def test_unpaired_placeholders_are_no_targets(job, paired_images, monkeypatch):
    unpaired(job.cfg, paired_images)
    job.cfg.train_dataloader.batch_size = 12
    (loss, *_) = losses_of(monkeypatch, job, num_batches=1)
    monkeypatch.setattr(
        "mmsrnas.models.editors.DualRegressionEditor._paired",
        staticmethod(lambda samples, inputs: torch.ones(len(inputs), dtype=torch.bool)),
    )
    (with_placeholders, *_) = losses_of(monkeypatch, job, num_batches=1)
    assert with_placeholders > 1.2 * loss


def test_distillation_of_the_training_counts(job, monkeypatch):
    plain = losses_of(monkeypatch, job)
    teacher = MODELS.build(DRN | dict(num_blocks=2))
    weights = {f"generator.{k}": w for k, w in teacher.state_dict().items()}
    torch.save({"state_dict": weights}, job.folder / "teacher.pth")
    job.cfg.model.distillation = dict(
        type="mmsrnas.DistillationLoss",
        teacher=DRN | dict(num_blocks=2),
        checkpoint=str(job.folder / "teacher.pth"),
        layer="tails.1",
    )
    found = losses_of(monkeypatch, job)
    assert all(b > a * 1.0001 for a, b in zip(plain, found, strict=True))


def test_interrupted_job_continues_to_the_same_result(job, monkeypatch):
    whole = weights_of(job("whole"))
    select, calls = ChannelSelector.select_greedily, []

    def interrupted(self, site, width, note=None):
        calls.append(site.consumer)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return select(self, site, width, note)

    monkeypatch.setattr(ChannelSelector, "select_greedily", interrupted)
    with pytest.raises(KeyboardInterrupt):
        job("parts")
    parts = weights_of(job("parts"))
    first, second, third = "down_blocks.0.conv2", "up_blocks.0.blocks.0.conv2", "up_blocks.0.reduce"
    assert calls == [first, second, second, third]
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    job("parts")  # finished: nothing is selected again
    assert len(calls) == 4


def change_data(job):
    """Another photograph under the same name."""
    for folder, side in (("HR", 1), ("LR_bicubic/X2", 2)):
        for file in (job.folder / "pairs" / folder).iterdir():
            image = cv2.imread(str(file))
            cv2.imwrite(str(file), 255 - image if side == 1 else imresize(255 - image, 1.0))


def change_duals(job):
    state = job.editor.state_dict()
    state["dual_networks.0.conv_last.weight"] += 0.01
    torch.save({"state_dict": state}, job.folder / "full.pth")


def change_weights(job):
    state = job.editor.state_dict()
    state["generator.conv_first.bias"] += 1
    torch.save({"state_dict": state}, job.folder / "full.pth")


def change_config(key, value):
    return lambda job: job.cfg.merge_from_dict({key: value})


def change_option(**options):
    return lambda job: job.options.update(options)


CHANGES = [
    (change_duals, "weights of the editor"),
    (change_weights, "weights of the network"),
    (change_config("model.pixel_loss.loss_weight", 2.0), "the model of the config"),
    (change_config("model.data_preprocessor.std", [254.0] * 3), "batches of the training data"),
    (change_option(lr=2e-4), "lr"),
    (change_option(channels_per_step=2), "channels_per_step"),
    (change_option(seed=1), "seed"),
    (change_option(criterion="l1"), "criterion"),
    (change_option(uniform=0.9), "genotype"),
    (change_data, "batches of the training data"),
]


def test_finished_job_is_no_result_of_another(job):
    job()
    file = job.folder / "out/pruned.pth"
    before, cfg, options = file.read_bytes(), copy.deepcopy(job.cfg), dict(job.options)
    state = {name: tensor.clone() for name, tensor in job.editor.state_dict().items()}
    for change, name in CHANGES:
        job.cfg, job.options = copy.deepcopy(cfg), dict(options)
        job.editor.load_state_dict(state)
        torch.save({"state_dict": state}, job.folder / "full.pth")
        change(job)
        with pytest.raises(ValueError, match=rf"selection\.pth' belongs to another job: .*{name}"):
            job()
        assert file.read_bytes() == before
    changed = weights_of(job("other"))  # elsewhere it is done, with another result
    first = weights_of_file(file)
    name = "generator.up_blocks.0.reduce.weight"
    assert not torch.equal(changed[name], first[name])


def test_damaged_state_is_named(job):
    job()
    (job.folder / "out/selection.pth").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"selection\.pth' is no state of a channel selection"):
        job()


def test_loss_that_is_not_finite_is_named(job):
    job.cfg.model.pixel_loss.loss_weight = float("inf")
    with pytest.raises(FloatingPointError, match=r"'down_blocks\.0\.conv2' is not finite"):
        job()
    assert not (job.folder / "out/pruned.pth").exists()


def test_search_and_its_checkpoint_serve_as_well(job):
    cfg = copy.deepcopy(job.cfg)
    cfg.model.generator = dict(
        type="mmsrnas.ChannelNumberSearch", generator=dict(DRN), budget_share=0.9
    )
    state = job.editor.state_dict()
    state = {k.replace("generator.", "generator.generator."): w for k, w in state.items()}
    torch.save({"state_dict": state}, job.folder / "search.pth")
    searched = weights_of(job("searched", cfg=cfg, checkpoint="search.pth"))
    plain = weights_of(job("plain"))
    assert all(torch.equal(plain[name], searched[name]) for name in plain)


@pytest.mark.parametrize("channels", [COLOR, GRAY], ids=["colour", "gray"])
@pytest.mark.parametrize("editor", ["BaseEditModel", "mmsrnas.DualRegressionEditor"])
def test_prunes_a_generator_of_mmagic_in_its_own_editor(tmp_path, paired_images, channels, editor):
    cfg = config(paired_images, "grayscale" if channels is GRAY else "color")
    cfg.model.generator = EDSR | channels
    cfg.model.pyramid = False
    cfg.model.type = editor
    if editor == "BaseEditModel":
        cfg.model.pop("pyramid"), cfg.model.pop("dual_network")
    job = Job(tmp_path, cfg)
    job.options["uniform"] = 0.8
    result = job(cost="params")
    assert result.genotype.architecture == "EDSRNet" and max(result.genotype.widths) < 16
    net = PrunedNet(result.genotype_file)
    net.load_state_dict(generator_of(weights_of(result)), strict=True)
    assert 0.78 < result.params[1] / result.params[0] <= 0.8
    assert sum(p.numel() for p in net.parameters()) == result.params[1]


@pytest.mark.parametrize("widths", ["uniform", "random"])
def test_uniform_and_random_widths_meet_the_budget(job, widths):
    result = job(**{widths: 0.8}, cost="params", criterion="l1")
    assert 0.7 * result.params[0] < result.params[1] <= 0.8 * result.params[0]
    again = job("again", **{widths: 0.8}, cost="params", criterion="l1")
    assert again.genotype == result.genotype == load_genotype(result.genotype_file)


def test_wrong_input_is_refused_before_work_starts(job):
    with pytest.raises(GenotypeError, match="mid_channels=16, but the network has mid_channels=8"):
        job(genotype="DRNS_X4_P50")
    with pytest.raises(ValueError, match="the network with the smallest widths costs"):
        job(uniform=0.01)
    for widths in ({}, dict(uniform=0.5, random=0.5)):
        with pytest.raises(ValueError, match="expected one of 'genotype', 'uniform' and 'random'"):
            prune(job.cfg, job.folder / "full.pth", job.folder / "out", **widths)
    with pytest.raises(ValueError, match=r"uniform: expected a share .* in \(0, 1\], got 1.5"):
        job(uniform=1.5)
    for name in ("num_batches", "channels_per_step"):
        with pytest.raises(ValueError, match=f"{name}: expected at least 1, got 0"):
            job(**{name: 0})
    weights = job.editor.state_dict()
    x4 = {name.replace("dual_networks.0", "dual_networks.1"): w for name, w in weights.items()}
    torch.save({"state_dict": weights | x4}, job.folder / "full.pth")
    with pytest.raises(ValueError, match=r"does not fit 'dual_networks' of the config"):
        job()
    weights = {name: w for name, w in weights.items() if not name.startswith("dual_networks")}
    torch.save({"state_dict": weights}, job.folder / "full.pth")
    with pytest.raises(ValueError, match=r"has no 'dual_networks\.' weights"):
        job()
    assert not (job.folder / "out/pruned.pth").exists()


def test_loss_is_on_the_range_of_the_generator(job):
    torch.manual_seed(0)
    lr, hr = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16)
    from mmagic.structures import DataSample

    batch = dict(inputs=lr, data_samples=DataSample.stack([DataSample(gt_img=hr[0])]))
    losses = job.editor(**batch, mode="loss")
    torch.testing.assert_close(training_loss(job.editor, batch), 255 * sum(losses.values()))
