import importlib

import mmagic.registry
import pytest
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope

from mmsrnas import registry


def test_every_registry_of_mmagic_has_a_child():
    assert set(registry.__all__) == set(mmagic.registry.__all__)


@pytest.mark.parametrize("name", mmagic.registry.__all__)
def test_child_searches_where_its_parent_searches(name):
    child, parent = getattr(registry, name), getattr(mmagic.registry, name)
    assert child.parent is parent
    assert parent.children["mmsrnas"] is child
    assert child.scope == "mmsrnas"
    assert child._locations[-len(parent._locations) :] == parent._locations


@pytest.mark.parametrize("name", registry.__all__)
def test_locations_exist(name):
    for location in getattr(registry, name)._locations:
        if location.startswith("mmsrnas"):
            importlib.import_module(location)


@pytest.mark.parametrize("start", [mmagic.registry.MODELS, registry.MODELS, ROOT_MODELS])
def test_prefix_reaches_networks_from_any_scope_of_mmagic(start):
    config = dict(type="mmsrnas.DLSRNet", genotype="DLSR", upscale_factor=2)
    with DefaultScope.overwrite_default_scope("mmagic"):
        network = start.build(config)
    assert sum(p.numel() for p in network.parameters()) == 322_620  # Table 1 of the DLSR paper


def test_bare_names_of_both_packages_in_the_scope_mmsrnas():
    with DefaultScope.overwrite_default_scope("mmsrnas"):
        assert registry.MODELS.get("DLSRNet").__module__.startswith("mmsrnas.")
        assert registry.MODELS.get("EDSRNet").__module__.startswith("mmagic.")
        assert registry.METRICS.get("PSNR").__module__.startswith("mmsrnas.")
        assert registry.METRICS.get("mmagic.PSNR").__module__.startswith("mmagic.")
        assert registry.HOOKS.get("LoggerHook").__module__.startswith("mmengine.")
