"""A second method of reinforcement learning is searched without a change to the engine."""

from contextlib import nullcontext
from typing import ClassVar

import pytest
import tiny_rl_search
import torch
from torch import nn

from mmsrnas.genotypes import GENOTYPES, Genotype, load_genotype
from mmsrnas.models.supernet import PolicySample, PolicySupernet
from mmsrnas.registry import MODELS

KERNELS = (1, 3, 5)


class ToyGenotype(Genotype, frozen=True):
    method: ClassVar[str] = "toy_policy"

    kernel: int


class ToySpace:
    def random(self, count, generator=None):
        return torch.randint(len(KERNELS), (count, 1), generator=generator)

    def decode(self, tokens):
        return ToyGenotype(kernel=KERNELS[int(tokens[0])])

    def encode(self, genotype):
        return [KERNELS.index(genotype.kernel)]

    def max_entropy(self):
        return torch.tensor(3.0).log().item()


class ToyPolicy(nn.Module):
    part_weights = (1.0,)

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(len(KERNELS)))
        self.register_buffer("baseline", torch.tensor(torch.nan))

    def sample(self, count, generator=None):
        log_probs = self.logits.log_softmax(0)
        probs = log_probs.detach().exp().expand(count, -1).cpu()
        tokens = torch.multinomial(probs, 1, generator=generator).to(log_probs.device)
        entropy = -(log_probs.exp() * log_probs).sum().expand(count, 1)
        return PolicySample(tokens, log_probs[tokens], entropy)


class ToyReward:
    """Small kernels alone are rewarded."""

    min_samples, mean_cost = 1, 3.0

    def __init__(self, sign=1.0):
        self.sign = sign

    def psnr(self, prediction, target):
        return -(prediction - target).square().mean().log10()

    def bicubic_psnr(self, lr, target):
        return self.psnr(nn.functional.interpolate(lr, scale_factor=2, mode="bicubic"), target)

    def cost(self, architecture):
        return float(architecture.kernel)

    def update_psnr_std(self, psnr):
        assert len(psnr) == 2

    def __call__(self, psnr, architectures, reference=None, psnr_std=None):
        return -self.sign * torch.tensor([self.cost(a) for a in architectures])


class ToySupernet(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleDict({str(k): nn.Conv2d(3, 12, k, padding=k // 2) for k in KERNELS})
        self.policy = ToyPolicy()
        self.space = ToySpace()

    def arch_parameters(self):
        yield "policy.logits", self.policy.logits

    def genotype(self):
        return self.space.decode([int(self.policy.logits.argmax())])

    def forward(self, x, architecture=None):
        architecture = architecture or self.genotype()
        return nn.functional.pixel_shuffle(self.convs[str(architecture.kernel)](x), 2)

    def build_reward(self, sign=1.0):
        return ToyReward(sign)

    def batch_statistics(self):
        return nullcontext()

    def calibrate(self, architecture, batches):
        assert all(batch.shape[1] == 3 for batch in batches)


@pytest.fixture
def toy():
    MODELS.register_module(name="ToyPolicySupernet", module=ToySupernet, force=True)
    yield
    MODELS._module_dict.pop("ToyPolicySupernet")
    GENOTYPES.pop("toy_policy", None)


@pytest.mark.parametrize(("sign", "kernel"), [(1.0, 1), (-1.0, 5)])
def test_toy_method_is_searched_to_the_end(images, toy, sign, kernel):
    assert isinstance(ToySupernet(), PolicySupernet)
    GENOTYPES[ToyGenotype.method] = ToyGenotype
    wrapper = tiny_rl_search.config(images)["optim_wrapper"]
    wrapper["weights"]["modules"] = "generator.convs"
    wrapper["policy"].update(modules="generator.policy", optimizer=dict(type="Adam", lr=0.2))
    model = dict(
        type="BaseEditModel",
        generator=dict(type="mmsrnas.ToyPolicySupernet"),
        pixel_loss=dict(type="L1Loss"),
        data_preprocessor=dict(type="DataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3),
    )
    runner = tiny_rl_search.runner(
        images,
        run=f"toy{kernel}",
        runner_type="mmsrnas.RLSearchRunner",
        hooks=[],
        iters=31,
        val_interval=31,
        model=model,
        loop=dict(reward=dict(sign=sign)),
        optim_wrapper=wrapper,
    )
    runner.train()
    assert load_genotype(images / f"toy{kernel}" / "genotype.json").kernel == kernel
    entropies = runner.message_hub.log_scalars["train/entropy"].data[0]
    assert entropies[0] == pytest.approx(1.0)
    assert entropies[-1] < 0.95
