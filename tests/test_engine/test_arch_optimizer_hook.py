"""The architecture step against the same search written out by hand."""

import itertools
import math

import pytest
import tiny_rl_search
import tiny_search
import torch
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import Runner
from torch import nn

from mmsrnas.engine.batches import BatchStream
from mmsrnas.engine.hooks import ArchOptimizerHook
from mmsrnas.engine.hooks.arch_optimizer_hook import SEED_OFFSET, _entropies, _wrapper_like
from mmsrnas.models import ComplexityLoss
from mmsrnas.registry import MODELS, OPTIM_WRAPPERS

CONSTRUCTOR = "mmsrnas.SearchOptimWrapperConstructor"
COMPLEXITY = {"type": "mmsrnas.ComplexityLoss", "loss_weight": 0.01}


class AlphaHistory(Hook):
    """Alpha after every iteration."""

    priority = "LOWEST"

    def before_train(self, runner):
        self.alphas = [runner.model.generator.alpha.detach().clone()]

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.alphas.append(runner.model.generator.alpha.detach().clone())


@MODELS.register_module()
class Doubling(nn.Module):
    """A network that is no supernet."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.conv(x).repeat_interleave(2, -1).repeat_interleave(2, -2)


def by_hand(runner, mode, iters, warmup):
    """The search as its definition says, all gradients computed in both steps."""
    cfg, editor = runner.cfg, runner.model
    supernet = editor.generator
    arch = [supernet.alpha, supernet.beta]
    weights = [p for p in editor.parameters() if all(p is not q for q in arch)]
    step_weights = torch.optim.Adam(weights, lr=0.01)
    step_arch = torch.optim.Adam(arch, lr=0.05, betas=(0.5, 0.999))
    train, held_out = (
        BatchStream(Runner.build_dataloader(data, seed=seed), seed)
        for data, seed in (
            (cfg.train_dataloader, 3),
            (cfg.custom_hooks[0].dataloader, 3 + SEED_OFFSET),
        )
    )

    def loss(batch):
        data = editor.data_preprocessor(batch, True)
        return (editor.generator(data["inputs"]) - data["data_samples"].gt_img).abs().mean()

    def update(optimizer, total):
        editor.zero_grad()
        total.backward()
        optimizer.step()

    editor.train()
    for i in range(iters):
        batch = next(train)
        if mode == "bilevel" and i >= warmup:
            update(step_arch, loss(next(held_out)) + 0.01 * supernet.expected_cost())
        update(step_weights, loss(batch))
        if mode == "mixed" and i >= warmup:
            total = loss(batch) + loss(next(held_out)) + 0.01 * supernet.expected_cost()
            update(step_arch, total)
    return editor.state_dict()


@pytest.mark.parametrize("mode", ["mixed", "bilevel"])
def test_equals_the_definition(images, mode):
    options = {
        "workers": 1,
        "iters": 4,
        "supernet": {"norm": True},
        "arch": {"mode": mode, "warmup_iters": 1, "complexity_loss": COMPLEXITY},
        "param_scheduler": None,
    }
    found = tiny_search.runner(images, **options).train().state_dict()
    expected = by_hand(tiny_search.runner(images, **options), mode, iters=4, warmup=1)
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize(("mode", "batches"), [("mixed", 2), ("bilevel", 1)])
def test_each_step_computes_its_own_gradients_only(images, mode, batches):
    runner = tiny_search.runner(images, iters=3, arch={"mode": mode})
    counts = {}

    def count(name):
        return lambda _: counts.update({name: counts.get(name, 0) + 1})

    for name, param in runner.model.named_parameters():
        param.register_post_accumulate_grad_hook(count(name))
    runner.train()
    arch = {counts.pop("generator.alpha"), counts.pop("generator.beta")}
    assert arch == {3 * batches}
    assert set(counts.values()) == {3}


def test_requirements_of_gradients_are_restored(images):
    runner = tiny_search.runner(images, iters=2)
    frozen = runner.model.generator.candidates[0].weight.requires_grad_(False)
    before = frozen.clone()
    model = runner.train()
    required = {name: param.requires_grad for name, param in model.named_parameters()}
    assert not required.pop("generator.candidates.0.weight")
    assert all(required.values())
    assert torch.equal(frozen, before)


def test_warmup_and_interval(images):
    arch = {"warmup_iters": 2, "interval": 2}
    runner, history = tiny_search.runner(images, iters=6, arch=arch), AlphaHistory()
    runner.register_hook(history)
    runner.train()
    moved = [not torch.equal(a, b) for a, b in itertools.pairwise(history.alphas)]
    assert moved == [False, False, True, False, True, False]


def test_log(images):
    runner = tiny_search.runner(images, iters=2, arch={"complexity_loss": COMPLEXITY})
    runner.train()
    scalars = runner.message_hub.log_scalars
    assert scalars["train/arch_loss"].current() > scalars["train/loss"].current()
    uniform = 0.01 * 3 * (1 + 9 + 25 + 49) / 4
    assert scalars["train/arch_complexity"].data[0][0] == pytest.approx(uniform, rel=1e-2)
    assert 0.9 < scalars["train/arch_entropy/beta"].current() < 1


def test_entropies():
    sure, uniform = torch.tensor([[0.0, 99.0, 0.0]]), torch.zeros(2, 5)
    params = {"beta.0": nn.Parameter(sure), "beta.1": nn.Parameter(uniform)}
    params |= {"alpha": nn.Parameter(torch.tensor([math.log(3), 0.0])), "one": torch.zeros(1)}
    found = {name: value.item() for name, value in _entropies(params).items()}
    three_to_one = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    expected = {"arch_entropy/beta": 0.5, "arch_entropy/alpha": three_to_one}
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("mode", ["mixed", "bilevel"])
def test_a_weight_of_the_entropy_decides_the_search(images, mode):
    def search(weight):
        optimizer = {"type": "Adam", "lr": 0.3}
        arch = {"mode": mode, "optimizer": optimizer, "warmup_iters": 5, "entropy_weight": weight}
        runner = tiny_search.runner(images, iters=40, arch=arch)
        runner.train()
        logs = runner.message_hub.log_scalars
        return [logs[f"train/arch_entropy/{name}"].current() for name in ("alpha", "beta")]

    undecided, decided = search(0.0), search(10.0)
    assert max(decided) < 0.1 < 0.3 < max(undecided)


def test_the_weight_of_the_entropy_grows_from_the_end_of_the_warm_up_on(images):
    sgd = {"type": "SGD", "lr": 1.0}
    arch = {"optimizer": sgd, "warmup_iters": 2, "entropy_weight": 0.5}
    runner = tiny_search.runner(images, iters=6, workers=1, arch=arch)
    weights, hook = [], next(h for h in runner.hooks if hasattr(h, "entropy_weight"))
    growth = hook._growth
    hook._growth = lambda runner: weights.append(growth(runner)) or weights[-1]
    runner.train()
    assert weights == pytest.approx([0.125, 0.25, 0.375, 0.5])


def test_a_negative_weight_of_the_entropy_is_refused():
    with pytest.raises(ValueError, match=r"entropy_weight: expected >= 0, got -1"):
        ArchOptimizerHook({}, {}, entropy_weight=-1)


def test_bfloat16_covers_both_steps(images):
    wrapper = {
        "type": "mmsrnas.AutocastOptimWrapper",
        "constructor": CONSTRUCTOR,
        "optimizer": {"type": "Adam", "lr": 0.01},
    }
    runner = tiny_search.runner(images, iters=2, optim_wrapper=wrapper)
    supernet, dtypes = runner.model.generator, []
    before = supernet.alpha.detach().clone()
    supernet.candidates[0].register_forward_hook(lambda *args: dtypes.append(args[2].dtype))
    runner.train()
    assert dtypes == [torch.bfloat16] * len(dtypes)
    assert len(dtypes) == 2 * 3 * 3  # iterations, passes, applications in the network
    assert supernet.alpha.dtype == torch.float32
    assert supernet.alpha.isfinite().all()
    assert not torch.equal(supernet.alpha, before)


@OPTIM_WRAPPERS.register_module()
class ScalingOptimWrapper(OptimWrapper):
    """Scales losses and unscales gradients, as GradScaler does on a GPU."""

    def backward(self, loss, **kwargs):
        super().backward(loss * 1024, **kwargs)

    def step(self, **kwargs):
        for group in self.optimizer.param_groups:
            for param in group["params"]:
                param.grad /= 1024
        super().step(**kwargs)


def test_loss_scaling_covers_every_loss(images):
    def alpha(kind):
        sgd = {"type": "SGD", "lr": 1.0}
        wrapper = {"type": kind, "constructor": CONSTRUCTOR, "optimizer": sgd}
        arch = {"optimizer": sgd, "complexity_loss": COMPLEXITY}
        options = {"iters": 2, "workers": 1, "arch": arch, "optim_wrapper": wrapper}
        return tiny_search.runner(images, **options).train().generator.alpha

    scaled, plain = alpha("mmsrnas.ScalingOptimWrapper"), alpha("OptimWrapper")
    torch.testing.assert_close(scaled, plain, rtol=1e-6, atol=0)


def test_loss_scale_is_its_own(monkeypatch):
    amp = "mmengine.optim.optimizer.amp_optimizer_wrapper"
    monkeypatch.setattr(f"{amp}.is_cuda_available", lambda: True)
    monkeypatch.setattr(f"{amp}.GradScaler", object)  # torch's warns where there is no GPU
    weights, alpha = (torch.optim.SGD([nn.Parameter(torch.zeros(1))]) for _ in range(2))
    wrapper = AmpOptimWrapper(optimizer=weights, dtype="bfloat16")
    found = _wrapper_like(wrapper, alpha)
    assert type(found) is AmpOptimWrapper
    assert found.optimizer is alpha
    assert found.cast_dtype == torch.bfloat16
    assert found.loss_scaler is not wrapper.loss_scaler


def test_loading_is_not_resuming(images):
    tiny_search.runner(images, run="first", iters=3).train()
    start = str(images / "first" / "iter_3.pth")
    runner = tiny_search.runner(images, run="second", iters=1, load_from=start)
    runner.train()
    checkpoint = torch.load(images / "second" / "iter_1.pth", weights_only=True)
    assert checkpoint["arch_optimizer"]["steps"] == 1
    assert checkpoint["arch_optimizer"]["optimizer"]["state"][0]["step"] == 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"dataloader": None}, ValueError, "ArchOptimizerHook.dataloader"),
        ({"mode": "darts"}, ValueError, "ArchOptimizerHook.mode"),
        ({"interval": 0}, ValueError, "ArchOptimizerHook.interval"),
    ],
)
def test_wrong_config(images, changes, error, message):
    with pytest.raises(error, match=message):
        tiny_search.runner(images, arch=changes)


@pytest.mark.parametrize("constructor", [None, CONSTRUCTOR])
def test_no_supernet(images, constructor):
    wrapper = {"optimizer": {"type": "Adam"}}
    wrapper |= {"constructor": constructor} if constructor else {}
    runner = tiny_search.runner(
        images, supernet={"type": "mmsrnas.Doubling"}, optim_wrapper=wrapper
    )
    with pytest.raises(
        TypeError, match=r"model.generator: a search needs a supernet, got Doubling"
    ):
        runner.train()


@MODELS.register_module()
class FreeSupernet(tiny_search.TinySupernet):
    expected_cost = None


def test_cost_is_missing(images):
    options = {
        "supernet": {"type": "mmsrnas.FreeSupernet"},
        "arch": {"complexity_loss": COMPLEXITY},
    }
    with pytest.raises(TypeError, match=r"FreeSupernet has no `expected_cost\(\)`"):
        tiny_search.runner(images, **options).train()
    assert issubclass(MODELS.get(COMPLEXITY["type"]), ComplexityLoss)


def test_schedule_of_the_architecture_counts_its_steps_and_is_resumed(images):
    """A cosine over four steps, and the same alpha where the run was cut in two."""

    class Rates(Hook):
        def __init__(self):
            self.rates = []

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            (hook,) = (h for h in runner.hooks if hasattr(h, "arch_parameters"))
            self.rates.append(hook.optim_wrapper.optimizer.param_groups[0]["lr"])

    schedule = {"type": "CosineAnnealingLR", "by_epoch": False, "T_max": 4, "eta_min": 0.01}
    arch = {"mode": "bilevel", "param_scheduler": schedule}

    # mmengine keeps the length of the first start as the end of the weights' schedule.
    weights = {"type": "CosineAnnealingLR", "by_epoch": False, "T_max": 50, "end": 4}

    def search(run, iters, **options):
        options |= {"param_scheduler": weights, "arch": arch}
        runner, rates = tiny_search.runner(images, run=run, iters=iters, **options), Rates()
        runner.register_hook(rates)
        return runner.train().generator.alpha.detach(), rates.rates

    whole, rates = search("scheduled", 4)
    expected = [0.01 + 0.04 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(1, 5)]
    assert rates == pytest.approx(expected)
    search("scheduled_parts", 2)
    parts, rates = search("scheduled_parts", 4, resume=True)
    assert rates == pytest.approx(expected[2:])
    assert torch.equal(whole, parts)


def test_budget_of_the_supernet_limits_the_loss(images, monkeypatch):
    monkeypatch.setattr(tiny_search.TinySupernet, "budget", 1000.0, raising=False)
    runner = tiny_search.runner(images, iters=1, arch={"complexity_loss": COMPLEXITY})
    runner.train()  # the cost is below the budget of the supernet
    assert runner.message_hub.log_scalars["train/arch_complexity"].current() == 0


@pytest.mark.parametrize("diff_rank_seed", [True, False])
@pytest.mark.parametrize("tiny", [tiny_search, tiny_rl_search])
def test_data_of_the_architecture_follow_diff_rank_seed(images, monkeypatch, tiny, diff_rank_seed):
    """As those of the training data do, which mmengine builds."""
    seen, build = [], Runner.build_dataloader

    def spy(dataloader, seed=None, diff_rank_seed=False):
        seen.append(diff_rank_seed)
        return build(dataloader, seed=seed)

    monkeypatch.setattr(Runner, "build_dataloader", staticmethod(spy))
    randomness = {"seed": 3, "diff_rank_seed": diff_rank_seed}
    tiny.runner(images, run="ranks", iters=1, randomness=randomness).train()
    assert seen == [diff_rank_seed] * 2
