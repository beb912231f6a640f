"""The second round of a selection."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmsrnas.analysis import finals
from mmsrnas.genotypes import DLSRGenotype, HiNASGenotype, HNASGenotype, load_genotype
from mmsrnas.models import DLSRSpace, SharedSupernet


def test_finalists_are_not_all_of_one_kind():
    one, three = "conv_1x1", "conv_3x3"
    same = [(one, one, three), (one, three, one), (three, one, one)]
    *kind, other = (DLSRGenotype(ops, ((0, 1),), 8) for ops in (*same, (one,) * 3))
    assert finals.varied([*kind, other]) == [*kind[:2], other]
    hinas: HiNASGenotype = load_genotype("HINAS_SR", method="hinas")
    narrow, *_, wide = [hinas.replace(mid_channels=width) for width in (4, 8, 12)]
    elsewhere = hinas.replace(path=tuple(reversed(range(len(hinas.path)))))
    assert elsewhere.path != hinas.path
    assert finals.varied([narrow, hinas, wide, elsewhere]) == [narrow, hinas, elsewhere]
    hnas: HNASGenotype = load_genotype("HNAS_A", method="hnas")
    others = [hnas.replace(mid_channels=width) for width in (8, 16, 24)]
    assert finals.varied(others) == others


@pytest.fixture
def editor():
    """A search of DLSR's space whose data and loss are as simple as can be."""
    torch.manual_seed(0)
    space = DLSRSpace(num_cells=2, mid_channels=4, global_skip=True)
    return SimpleNamespace(
        generator=SharedSupernet(space, {"img_range": 16.0}),
        pixel_loss=nn.L1Loss(),
        data_preprocessor=lambda batch, _: batch,
    )


def test_networks_start_anew_on_the_same_batches_and_the_best_is_first(editor, monkeypatch):
    seen = []
    low, high = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 32, 32)
    batch = {"inputs": low, "data_samples": SimpleNamespace(gt_img=high)}
    monkeypatch.setattr(finals.Runner, "build_dataloader", lambda *_, **__: None)
    monkeypatch.setattr(finals, "BatchStream", lambda *_, **__: iter([batch] * 9))
    train = finals._train
    monkeypatch.setattr(
        finals,
        "_train",
        lambda net, batches, loss: seen.append(len(batches)) or train(net, batches, loss),
    )
    shared = [weight.clone() for weight in editor.generator.parameters()]
    genotypes = [
        DLSRGenotype((op,) * 3, (), 4, global_skip=True) for op in ("conv_1x1", "conv_3x3")
    ]
    images = [(low[:1], high[:1])]
    found = finals.final_round(editor, {}, images, genotypes, 7)
    assert seen == [7, 7] and set(found) == set(genotypes)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    start = editor.generator.build_network(genotypes[0]).eval()
    assert max(found.values()) > finals.inherited_psnr(start, images)
    for weight, before in zip(editor.generator.parameters(), shared, strict=True):
        assert torch.equal(weight, before)
