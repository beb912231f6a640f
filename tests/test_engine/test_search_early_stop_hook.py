"""A search ends when its genotype no longer changes or has collapsed, and not before."""

import pytest
import tiny_search


def hook(**options):
    return {"type": "mmsrnas.SearchEarlyStopHook", "interval": 2, "patience": 2} | options


def iterations(images, lr=0.0, collapsed=None, **options):
    """Number of iterations until the search stops; alpha does not move with ``lr=0``."""
    arch = {"optimizer": {"type": "SGD", "lr": lr}}
    supernet = {"collapsed": collapsed}
    runner = tiny_search.runner(
        images, iters=10, arch=arch, supernet=supernet, hooks=[hook(**options)]
    )
    runner.train()
    return runner.iter


def test_stops_when_nothing_changes(images):
    assert iterations(images) == 6  # checks at 2, 4 and 6; the last two find what the first found


def test_begin(images):
    assert iterations(images, begin=4) == 10  # checks at 6, 8 and 10


def test_goes_on_while_the_genotype_changes(images, monkeypatch):
    genotypes = iter("abcde")

    class Changing:
        def to_dict(self):
            return {"ops": next(genotypes)}

    monkeypatch.setattr(tiny_search.TinySupernet, "genotype", lambda self: Changing())
    assert iterations(images) == 10


@pytest.mark.parametrize("patience", [0, 2])
def test_stops_when_the_cell_collapses(images, patience):
    assert iterations(images, collapsed="two skips", patience=patience) == 2


def test_patience_zero_ignores_the_genotype(images):
    assert iterations(images, patience=0) == 10
