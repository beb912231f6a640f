"""Search by reinforcement learning: weights and policy in turn."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce, get_dist_info
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from mmsrnas.engine.batches import BatchStream, Stream, training_stream
from mmsrnas.engine.data import require_disjoint
from mmsrnas.engine.supernet import find_supernet, unwrap
from mmsrnas.genotypes import Genotype
from mmsrnas.models.supernet import Policy, PolicySupernet, Supernet
from mmsrnas.registry import LOOPS

from .policy_gradient import PolicyGradient

__all__ = ["RLSearchLoop"]

# Keeps the policy's data away from the random numbers of the training data.
SEED_OFFSET = 20_011
POLICY_DATALOADER = "train_cfg.policy_dataloader"


@LOOPS.register_module()
class RLSearchLoop(IterBasedTrainLoop):
    """Trains the shared weights of a supernet and the policy over it in turn.

    It knows no method: the supernet follows
    :class:`~mmsrnas.models.supernet.PolicySupernet`, and brings its policy and its reward.

    After ``warmup_iters`` iterations on the weights, ``weight_iters`` iterations on the weights
    and ``policy_iters`` iterations on the policy alternate until ``max_iters``. All of them are
    ordinary iterations: hooks, schedulers, checkpoints and logs count them alike.

    * An iteration on the weights samples one architecture from the policy and trains it on a batch
      of ``train_dataloader``.
    * An iteration on the policy samples ``num_samples`` architectures, scores all of them on one
      batch of ``policy_dataloader`` and takes one step of policy gradient, see
      :class:`~mmsrnas.engine.runner.policy_gradient.PolicyGradient`. Scoring normalises by the
      statistics of the batch and changes nothing in the supernet.
    * The first policy iteration of a turn also scores ``num_references`` random architectures.
      They tell the spread of PSNR, and they are the random search beside the policy in the logs.

    Samples depend on the seed and the number of the iteration alone, so that all processes of a
    distributed search draw the same, and a resumed search draws what the whole one would have.
    Processes train the weights on batches of their own; they get the same batch for the policy, and
    each scores its share of the architectures.

    ``optim_wrapper`` is a dict of two, ``weights`` and ``policy``. Logs ``loss`` for weights; for
    the policy ``reward``, ``psnr``, ``gain`` (over bicubic, in dB), ``cost`` (relative to random
    architectures), ``entropy`` (relative to its maximum), ``baseline``, and ``random_psnr`` and
    ``random_reward`` of the references. Where the reward compares, the samples are compared with
    each other, and the references with the samples.

    Args:
        runner: The runner.
        dataloader: Data of the weights.
        max_iters: Iterations of both kinds.
        policy_dataloader: Data of the policy, on images that ``train_dataloader`` has not.
        reward: Arguments of the supernet's ``build_reward``; those of HNAS are
            ``performance_weight`` and ``cost``.
        weight_iters: Iterations on the weights in a row.
        policy_iters: Iterations on the policy in a row.
        warmup_iters: First iterations, on the weights.
        num_samples: Architectures per update of the policy, at least as many as the reward needs.
        num_references: Random architectures per turn, at least 2.
        entropy_weight: Weight of the entropy of the policy, first and last.
        baseline_momentum: Share of the old baseline in the new one.
        baseline_has_reward: Take the advantage against the baseline that contains the reward
            already, as the released code of HNAS does.
        reset_baseline: Start a new baseline at every turn, as the released code of HNAS does.
        weight_sampling: What trains the weights: samples of the ``'policy'`` or ``'uniform'`` ones.
        allow_shared_images: Accept images that are in the data of the weights as well.
        **kwargs: As for ``IterBasedTrainLoop``: ``val_begin``, ``val_interval``...

    Raises:
        ValueError: An argument that cannot be, or an image in both datasets.
        TypeError: The generator of the model has no policy, or its reward no such argument.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_iters: int,
        policy_dataloader: DataLoader | dict | None = None,
        reward: dict | None = None,
        weight_iters: int = 200,
        policy_iters: int = 300,
        warmup_iters: int = 0,
        num_samples: int = 8,
        num_references: int = 8,
        entropy_weight: Sequence[float] = (0.05, 0.005),
        baseline_momentum: float = 0.95,
        baseline_has_reward: bool = False,
        reset_baseline: bool = False,
        weight_sampling: str = "policy",
        allow_shared_images: bool = False,
        **kwargs: Any,
    ) -> None:
        _check_at_least(1, weight_iters=weight_iters, policy_iters=policy_iters)
        _check_at_least(0, warmup_iters=warmup_iters)
        _check_at_least(2, num_references=num_references)
        if weight_sampling not in ("policy", "uniform"):
            raise ValueError(
                "train_cfg.weight_sampling: expected 'policy' or 'uniform', "
                f"got {weight_sampling!r}."
            )
        if policy_dataloader is None:
            raise ValueError(
                "train_cfg.policy_dataloader: the policy needs data of its own. Give it a "
                "dataloader config like `train_dataloader`, on other images."
            )
        super().__init__(runner, dataloader, max_iters, **kwargs)
        self.weight_iters = weight_iters
        self.policy_iters = policy_iters
        self.warmup_iters = warmup_iters
        self.num_samples = num_samples
        self.num_references = num_references
        self.weight_sampling = weight_sampling
        self.reset_baseline = reset_baseline
        self.supernet = _require_policy(find_supernet(runner.model))
        try:
            self.reward = self.supernet.build_reward(**(reward or {}))
        except TypeError as error:
            raise TypeError(f"train_cfg.reward: {error}.") from None
        _check_at_least(self.reward.min_samples, num_samples=num_samples)
        _leave_policy_out_of_reduction(runner, self.supernet.policy)
        self.policy_gradient = PolicyGradient(
            self.supernet.policy, entropy_weight, baseline_momentum, baseline_has_reward
        )
        self._dataloader_config = dataloader
        self._policy_dataloader = runner.build_dataloader(
            policy_dataloader,
            seed=self._policy_seed,
            diff_rank_seed=runner.cfg.get("randomness", {}).get("diff_rank_seed", False),
        )
        if not allow_shared_images:
            policy_images = self._policy_dataloader.dataset
            require_disjoint(self.dataloader.dataset, policy_images, POLICY_DATALOADER)

    @property
    def _policy_seed(self) -> int:
        return self.runner.seed + SEED_OFFSET

    def _turn(self, iteration: int) -> int:
        """Place of an iteration in its turn: below ``weight_iters`` it is one on the weights."""
        past = iteration - self.warmup_iters
        return max(0, past % (self.weight_iters + self.policy_iters)) if past >= 0 else 0

    def run(self) -> Any:
        """Checks the optimizers and trains."""
        _check_optimizers(self.runner.optim_wrapper, self.runner.model)
        for wrapper in self.runner.optim_wrapper.values():
            wrapper.initialize_count_status(self.runner.model, self._iter, self._max_iters)
        self.dataloader_iterator = _TurnStream(  # a resume has set the seed by now
            training_stream(self, self._dataloader_config),
            BatchStream(self._policy_dataloader, self._policy_seed, POLICY_DATALOADER, shared=True),
            lambda iteration: self._turn(iteration) >= self.weight_iters,
        )
        return super().run()

    def run_iter(self, data_batch: dict) -> None:
        """Takes one step on the weights or on the policy.

        Args:
            data_batch: Batch of the data that this iteration needs.
        """
        runner, turn = self.runner, self._turn(self._iter)
        runner.call_hook("before_train_iter", batch_idx=self._iter, data_batch=data_batch)
        if turn < self.weight_iters:
            outputs = self._weight_step(data_batch)
        else:
            outputs = self._policy_step(data_batch, first=turn == self.weight_iters)
        if self._validates_next():
            # Before the checkpoint of this iteration, so that a resumed run has it, too.
            self._calibrate(data_batch)
        runner.call_hook(
            "after_train_iter", batch_idx=self._iter, data_batch=data_batch, outputs=outputs
        )
        self._iter += 1

    def _validates_next(self) -> bool:
        done = self._iter + 1
        return (
            self.runner.val_loop is not None
            and done >= self.val_begin
            and (done % self.val_interval == 0 or done == self._max_iters)
        )

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.runner.seed * 1_000_003 + self._iter)

    def _decode(self, tokens: Tensor) -> list[Genotype]:
        return [self.supernet.space.decode(row) for row in tokens.tolist()]

    @torch.no_grad()
    def _sample_weights(self) -> Genotype:
        generator = self._generator()
        if self.weight_sampling == "uniform":
            return self._decode(self.supernet.space.random(1, generator))[0]
        return self._decode(self.supernet.policy.sample(1, generator).tokens)[0]

    def _weight_step(self, batch: dict) -> dict[str, Tensor]:
        model, wrapper = self.runner.model, self.runner.optim_wrapper["weights"]
        editor, genotype = unwrap(model), self._sample_weights()
        with wrapper.optim_context(model):
            data = editor.data_preprocessor(batch, True)
            losses = model(**data, mode="loss", architecture=genotype)
        loss, log = editor.parse_losses(losses)
        wrapper.update_params(loss)
        return log

    def _policy_step(self, batch: dict, first: bool) -> dict[str, Tensor | float]:
        if first and self.reset_baseline:
            self.policy_gradient.reset_baseline()
        generator = self._generator()
        sample = self.supernet.policy.sample(self.num_samples, generator)
        genotypes = self._decode(sample.tokens)
        references = []
        if first:
            space = self.supernet.space
            references = self._decode(space.random(self.num_references, generator))
        psnr, bicubic = self._score(batch, genotypes + references)
        psnr, random_psnr = psnr.split([len(genotypes), len(references)])
        if first:
            self.reward.update_psnr_std(random_psnr)
        rewards = self.reward(psnr, genotypes)
        log = self.policy_gradient.update(
            sample, rewards, self.runner.optim_wrapper["policy"], self._iter / self._max_iters
        )
        cost = sum(map(self.reward.cost, genotypes)) / len(genotypes)
        log |= {
            "psnr": psnr.mean(),
            "gain": psnr.mean() - bicubic,
            "cost": cost / self.reward.mean_cost,
            "entropy": log["entropy"] / self.supernet.space.max_entropy(),
        }
        if first:
            log["random_psnr"] = random_psnr.mean()
            log["random_reward"] = self.reward(random_psnr, references, psnr.mean()).mean()
        return log

    @torch.no_grad()
    def _score(self, batch: dict, genotypes: Sequence[Genotype]) -> tuple[Tensor, Tensor]:
        """PSNR of architectures on a batch ``(N,)``, and that of bicubic interpolation."""
        editor = unwrap(self.runner.model)
        data = editor.data_preprocessor(batch, True)
        inputs, samples = data["inputs"], data["data_samples"]

        def to_image(x: Tensor) -> Tensor:
            return editor.data_preprocessor.destruct(x.float().clone(), samples)

        target = to_image(samples.gt_img)
        psnr = target.new_zeros(len(genotypes))
        rank, processes = get_dist_info()
        # What an architecture takes whatever its cost: as long as the mean cost does, on a CPU.
        costs = [self.reward.cost(each) + self.reward.mean_cost for each in genotypes]
        mine = equal_shares(costs, processes)[rank]
        with (
            self.supernet.batch_statistics(),
            self.runner.optim_wrapper["weights"].optim_context(editor),
        ):
            for index in mine:
                prediction = to_image(self.supernet(inputs, genotypes[index]))
                psnr[index] = self.reward.psnr(prediction, target)
        all_reduce(psnr)
        return psnr, self.reward.bicubic_psnr(to_image(inputs), target)

    def _calibrate(self, batch: dict) -> None:
        """Gives the architecture that validation will run the statistics of a batch."""
        data = unwrap(self.runner.model).data_preprocessor(batch, True)
        self.supernet.calibrate(self.supernet.genotype(), [data["inputs"]])


def equal_shares(costs: Sequence[float], processes: int) -> list[list[int]]:
    """Shares of some jobs that take about as long: the dearest first, each to who has least.

    Args:
        costs: What each job costs.
        processes: Number of shares.

    Returns:
        For each process the indices of its jobs, ascending.
    """
    shares: list[list[int]] = [[] for _ in range(processes)]
    totals = [0.0] * processes
    for index in sorted(range(len(costs)), key=lambda i: -costs[i]):
        least = totals.index(min(totals))
        shares[least].append(index)
        totals[least] += costs[index]
    return [sorted(share) for share in shares]


class _TurnStream:
    """The batch of every iteration, of the weights or of the policy.

    Args:
        weights: Batches of the weights.
        policy: Batches of the policy.
        trains_policy: Tells of an iteration whether it is one on the policy.
    """

    def __init__(
        self, weights: Stream, policy: Stream, trains_policy: Callable[[int], bool]
    ) -> None:
        self.weights = weights
        self.policy = policy
        self.trains_policy = trains_policy
        self.position = 0

    def __next__(self) -> Any:
        stream = self.policy if self.trains_policy(self.position) else self.weights
        self.position += 1
        return next(stream)

    def skip(self, count: int) -> None:
        """Moves on by some iterations without loading anything."""
        skipped = range(self.position, self.position + count)
        on_policy = sum(map(self.trains_policy, skipped))
        self.policy.skip(on_policy)
        self.weights.skip(count - on_policy)
        self.position += count


def _require_policy(supernet: Supernet) -> PolicySupernet:
    if isinstance(supernet, PolicySupernet):
        return supernet
    parts = ("space", "policy", "build_reward", "batch_statistics", "calibrate")
    missing = [part for part in parts if not hasattr(supernet, part)]
    raise TypeError(
        f"model.generator: RLSearchLoop needs a supernet with a policy, {type(supernet).__name__} "
        f"has no {missing[0]!r}. Name one, like type='mmsrnas.HNASSupernet'; "
        "mmsrnas.models.supernet.PolicySupernet says what it offers."
    )


def _leave_policy_out_of_reduction(runner: Runner, policy: Policy) -> None:
    """All processes compute the same gradient of the policy; DDP must not wait for it."""
    if isinstance(runner.model, DistributedDataParallel):
        editor, mine = (
            runner.model.module,
            {id(x) for x in (*policy.parameters(), *policy.buffers())},
        )
        entries = (*editor.named_parameters(), *editor.named_buffers())
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(
            editor, [name for name, value in entries if id(value) in mine]
        )
        runner.model = runner.wrap_model(runner.cfg.get("model_wrapper_cfg"), editor)


def _check_at_least(minimum: int, **values: int) -> None:
    for name, value in values.items():
        if value < minimum:
            raise ValueError(f"train_cfg.{name}: expected at least {minimum}, got {value!r}.")


def _check_optimizers(wrapper: OptimWrapper | OptimWrapperDict, model: nn.Module) -> None:
    """Every parameter belongs to one of the two optimizers, and to the right one."""
    advice = "Start from configs/_base_/schedules/hnas_search.py."
    if not isinstance(wrapper, OptimWrapperDict) or set(wrapper.keys()) != {"weights", "policy"}:
        raise ValueError(
            "optim_wrapper: RLSearchLoop needs a dict of two wrappers, 'weights' and 'policy'. "
            + advice
        )
    policy = {id(p): name for name, p in find_supernet(model).arch_parameters()}
    weights = {id(p): name for name, p in model.named_parameters() if id(p) not in policy}
    for key, expected in (("weights", weights), ("policy", policy)):
        groups = wrapper[key].optimizer.param_groups
        found = {id(p) for group in groups for p in group["params"]}
        missing = [name for i, name in expected.items() if i not in found]
        if missing or found - expected.keys():
            example = f"misses {missing[0]}" if missing else "has parameters of the other"
            raise ValueError(f"optim_wrapper.{key}.modules: {example}. {advice}")
