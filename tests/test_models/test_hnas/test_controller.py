import pytest
import torch

from mmsrnas.models import HNASController
from mmsrnas.models.hnas.controller import reinforce_loss
from mmsrnas.models.hnas.official import translate_official_controller_keys
from mmsrnas.models.hnas.space import HNASSpace

PARTS = ("normal", "up", "pos")


@pytest.fixture(scope="module")
def official(refs):
    dump = torch.load(refs / "hnas" / "controller_default.pt", weights_only=True)
    controller = HNASController(HNASSpace(), compat="official")
    state = translate_official_controller_keys(dump["state_dict"])
    missing, unexpected = controller.load_state_dict(state, strict=False)
    assert (missing, unexpected) == (["baseline", "psnr_std"], [])
    return controller.double(), dump


def tokens(sample):
    row = []
    for cell in (sample["arch_normal"], sample["arch_upsampling"]):
        for (op1, in1, _), (op2, in2, _) in zip(cell[::2], cell[1::2], strict=True):
            row += [in1, in2, op1, op2]
    return torch.tensor([*row, sample["pos"]])


@torch.no_grad()
def test_equals_the_released_controller(official):
    controller, dump = official
    sample = controller.evaluate(torch.stack([tokens(s) for s in dump["samples"]]))
    for part, name in enumerate(PARTS):
        for ours, key in ((sample.log_probs, "logp"), (sample.entropies, "ent")):
            reference = [s[f"{key}_{name}"] for s in dump["samples"]]
            assert ours[:, part].tolist() == pytest.approx(reference, rel=1e-12)


def test_loss_and_gradients_equal_the_released_ones(official):
    controller, dump = official
    for reference in dump["samples"]:
        controller.zero_grad()
        sample = controller.evaluate(tokens(reference)[None])
        loss = reinforce_loss(sample, torch.tensor([0.1], dtype=torch.double), 1.0, (1, 1, 10))
        loss.backward()
        assert loss.item() == pytest.approx(reference["loss_adv0p1_ent1"], rel=1e-12)
        norms = {k: v for k, v in reference["grad_norms"].items() if v is not None}
        norms = translate_official_controller_keys(norms)
        ours = {name: p.grad.norm().item() for name, p in controller.named_parameters()}
        assert ours == pytest.approx(norms, rel=1e-9, abs=1e-12)


def test_a_sample_is_evaluated_to_its_own_log_probabilities():
    torch.manual_seed(0)
    for compat in ("fixed", "paper", "official"):
        controller = HNASController(HNASSpace(), compat=compat)
        with torch.no_grad():
            for p in controller.parameters():
                p.mul_(5)
        sample = controller.sample(16)
        again = controller.evaluate(sample.tokens)
        torch.testing.assert_close(again.log_probs, sample.log_probs)
        torch.testing.assert_close(again.entropies, sample.entropies)
        assert torch.equal(again.tokens, sample.tokens)
        one = controller.evaluate(sample.tokens[3:4])
        torch.testing.assert_close(one.log_probs[0], sample.log_probs[3])


@torch.no_grad()
def test_samples_have_the_frequencies_of_the_policy():
    torch.manual_seed(0)
    space = HNASSpace(num_layers=3, num_nodes=1)
    controller = HNASController(space, hidden_channels=8)
    for p in controller.parameters():
        p.mul_(20)
    sample = controller.sample(20_000, torch.Generator().manual_seed(1))
    every = torch.cartesian_prod(*(torch.arange(size) for size in space.sizes))
    probabilities = controller.evaluate(every).log_probs.sum(1).exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-4)
    for column, size in enumerate(space.sizes):
        expected = torch.zeros(size).index_add(0, every[:, column], probabilities)
        found = torch.bincount(sample.tokens[:, column], minlength=size) / 20_000
        torch.testing.assert_close(found, expected, rtol=0, atol=0.015)


@torch.no_grad()
def test_argmax_takes_the_best_token_in_turn():
    torch.manual_seed(0)
    controller = HNASController(HNASSpace(num_layers=5))
    for p in controller.parameters():
        p.mul_(8)
    best = controller.argmax().tokens[0].tolist()
    left = iter(best)

    def replay(log_probs):
        token = next(left)
        assert log_probs[0].argmax().item() == token
        return torch.tensor([token])

    assert controller._run(1, replay).tokens[0].tolist() == best
    assert len(set(best[:16])) > 2


@torch.no_grad()
def test_the_last_operation_reaches_the_position_except_in_the_released_code():
    torch.manual_seed(0)
    for compat, expected in (("fixed", True), ("paper", True), ("official", False)):
        controller = HNASController(HNASSpace(), compat=compat)
        for p in controller.parameters():
            p.mul_(8)
        rows = controller.space.random(1).repeat(2, 1)
        rows[1, 31] = (rows[0, 31] + 1) % 5
        entropies = controller.evaluate(rows).entropies[:, 2]
        assert (entropies[0] != entropies[1]).item() == expected


def test_position_gradient_reaches_both_cells():
    for compat in ("fixed", "official"):
        controller = HNASController(HNASSpace(num_layers=3), compat=compat)
        controller.sample(4).log_probs[:, 2].sum().backward()
        for cell in (controller.normal, controller.upsampling):
            assert cell.lstm.weight_hh.grad.abs().max() > 0
