"""Distance of a network from a larger one."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsrnas.checkpoint import read_checkpoint
from mmsrnas.registry import MODELS

from .precision import full_precision

__all__ = ["DistillationLoss"]


@MODELS.register_module()
class DistillationLoss(nn.Module):
    """Distance of a generator from a frozen teacher on the same LR images (arXiv 2207.07929).

    With ``layer`` it compares what that layer reads in both networks, averaged over the channels,
    by the mean squared error; the last convolution of DRN is the layer of the released code. The
    result is divided by the generator's ``img_range``, so that a weight beside L1 means the same
    for every range. Without ``layer`` it is the L1 distance of the SR images.

    ``features`` are compared in addition, whatever their number of channels: where in the image the
    output of a module is strong, as the squared distance between the maps of its mean square over
    the channels, both of length 1 (arXiv 1612.03928).

    Args:
        teacher: Config of the teacher.
        checkpoint: Its weights, those of the ``generator`` of an editor; loaded strictly.
        loss_weight: Weight of the loss.
        layer: Name of a module that both networks have, e.g. ``'tails.2'``.
        features: Names of modules that both networks have.
        feature_weight: Weight of the mean over their distances.
    """

    def __init__(
        self,
        teacher: dict,
        checkpoint: str | None = None,
        loss_weight: float = 1.0,
        layer: str | None = None,
        features: Sequence[str] = (),
        feature_weight: float = 0.01,
    ) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.loss_weight = loss_weight
        self.layer = layer
        self.features = tuple(features)
        self.feature_weight = feature_weight
        self.teacher = MODELS.build(teacher).requires_grad_(False).eval()
        self._seen: dict[str, Tensor] = {}

    def train(self, mode: bool = True) -> "DistillationLoss":
        """Leaves the teacher in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def load_teacher(self) -> None:
        """Loads the weights of the teacher.

        Raises:
            FileNotFoundError: There is no such checkpoint.
            CheckpointError: It cannot be loaded, or is of another network.
        """
        if self.checkpoint:
            checkpoint = read_checkpoint(self.checkpoint, "distillation.checkpoint")
            checkpoint.load_into(self.teacher)

    def watch(self, student: nn.Module) -> None:
        """Notes what the layer reads whenever the student runs; once, before training.

        Args:
            student: The generator that is trained.

        Raises:
            ValueError: One of the networks has no such layer, or the teacher another scale.
        """
        self._divisor = getattr(student, "img_range", 1.0)
        ours, its = (getattr(net, "upscale_factor", None) for net in (student, self.teacher))
        if ours and its and ours != its:
            raise ValueError(
                f"distillation.teacher: super-resolves x{its}, the generator x{ours}. "
                "Take a teacher of the same scale."
            )
        for name, net in (("student", student), ("teacher", self.teacher)):
            if self.layer is not None:
                module = _module(net, self.layer, f"distillation.layer: the {name}")
                module.register_forward_pre_hook(_Note(self._seen, name))
            for feature in self.features:
                module = _module(net, feature, f"distillation.features: the {name}")
                module.register_forward_hook(_Note(self._seen, f"{name} {feature}"))

    def forward(self, lr: Tensor, sr: Tensor) -> Tensor:
        """Compares the teacher with what the student has just done.

        Args:
            lr: LR images ``(N, C, H, W)``.
            sr: The student's SR images.

        Returns:
            Scalar loss.
        """
        with torch.no_grad():
            target = self.teacher(lr)
        if self.layer is None:
            loss = self.loss_weight * _image_distance(sr, target)
        else:
            student, teacher = (self._seen.pop(name) for name in ("student", "teacher"))
            loss = self.loss_weight / self._divisor * _feature_distance(student, teacher)
        for feature in self.features:
            maps = (self._seen.pop(f"{name} {feature}") for name in ("student", "teacher"))
            loss = loss + self.feature_weight / len(self.features) * _map_distance(*maps)
        return loss


_image_distance = full_precision(F.l1_loss)


@full_precision
def _feature_distance(student: Tensor, teacher: Tensor) -> Tensor:
    return F.mse_loss(student.mean(dim=1), teacher.mean(dim=1))


@full_precision
def _map_distance(student: Tensor, teacher: Tensor) -> Tensor:
    one, other = (
        F.normalize(feature.square().mean(dim=1).flatten(1), dim=1)
        for feature in (student, teacher)
    )
    return (one - other).square().sum(dim=1).mean()


def _module(net: nn.Module, name: str, who: str) -> nn.Module:
    try:
        return net.get_submodule(name)
    except AttributeError:
        raise ValueError(f"{who} {type(net).__name__} has no module {name!r}.") from None


class _Note:
    """A hook that keeps the input of a module, or its output."""

    def __init__(self, seen: dict[str, Tensor], name: str) -> None:
        self.seen, self.name = seen, name

    def __call__(
        self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor | None = None
    ) -> None:
        self.seen[self.name] = args[0] if output is None else output
