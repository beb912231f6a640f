"""Drawings show the searched parts, whatever the size of the network."""

import cv2
import numpy as np
import pytest

from mmsrnas.genotypes import DLSRGenotype, load_genotype, published_genotypes
from mmsrnas.genotypes.drawing import draw_genotype

ONE_OF_EACH = {load_genotype(name).method: name for name in published_genotypes()}


@pytest.mark.parametrize("name", ["DLSR_PARA", *ONE_OF_EACH.values()])
def test_published(name, tmp_path):
    picture = draw_genotype(load_genotype(name), tmp_path / "drawing.png")
    written = cv2.imread(str(tmp_path / "drawing.png"))[..., ::-1]
    np.testing.assert_array_equal(picture, written)
    border = np.concatenate([picture[[0, -1]].ravel(), picture[:, [0, -1]].ravel()])
    assert (border == 255).all(), "something is cut off"


def test_arrows_follow_the_connections():
    dlsr, para = (load_genotype(name).diagrams()[1] for name in ("DLSR", "DLSR_PARA"))
    searched = [
        {(start, end) for start, end, kind, _ in network.arrows if kind == "searched"}
        for network in (dlsr, para)
    ]
    assert ("cell 4", "cell 5") in searched[0] - searched[1]
    assert ("cell 0", "cell 5") in searched[1] - searched[0]
    assert [len(arrows) for arrows in searched] == [8, 8]


def test_operations_are_named():
    cell, _ = load_genotype("DLSR").diagrams()
    searched = [text for _, _, text, kind in cell.boxes.values() if kind == "searched"]
    assert searched == ["conv_1x1", "sep_conv_7x7", "sep_conv_5x5"]


def test_two_cells():
    draw_genotype(DLSRGenotype(("conv_1x1",) * 3, connections=()))
