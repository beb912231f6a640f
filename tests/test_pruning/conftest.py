import pytest
import torch
import torch.nn.functional as F

from mmsrnas.models import DRNNet, DualNet, DualRegressionLoss
from mmsrnas.models.drn.official import translate_official_dual_keys, translate_official_keys

SMALL = dict(upscale_factor=4, num_blocks=2, mid_channels=8)


class Reference:
    """A released network in float64 and its loss on given images in 0..255."""

    def __init__(self, path):
        self.dump = torch.load(path, weights_only=False)
        self.net = DRNNet(**SMALL, train_mean_shift=True)
        self.net.load_state_dict(translate_official_keys(self.primal), strict=True)
        self.duals = torch.nn.ModuleList(DualNet(2, 8) for _ in range(2))
        if "duals" in self.dump:
            duals = translate_official_dual_keys(self.dump["duals"])
            self.duals.load_state_dict(duals, strict=True)
        self.net.to(self.dtype), self.duals.to(self.dtype)
        self.net.load_state_dict(translate_official_keys(self.primal), strict=True)
        if "duals" in self.dump:
            self.duals.load_state_dict(duals, strict=True)

    @property
    def primal(self):
        return self.dump["primal"] if "primal" in self.dump else self.dump["primal_full"]

    @property
    def dtype(self):
        return self.primal["head.weight"].dtype

    def loss(self, lrs, hr, net=None):
        images = (net or self.net)(lrs[0] / 255, pyramid=True)
        primal = sum(255 * F.l1_loss(o, t / 255) for o, t in zip(images, [*lrs, hr], strict=True))
        dual = DualRegressionLoss(0.1)(self.duals, images[1:], [lr / 255 for lr in lrs])
        return primal + 255 * dual


@pytest.fixture
def reference(refs):
    return lambda name: Reference(refs / "drn" / f"{name}.pt")
