import ast
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement

import mmsrnas

ROOT = Path(__file__).parents[1]
NOT_BUILT_FROM = (".*", "__pycache__", "*.egg-info", "build", "data", "dist", "tests", "work_dirs")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Names in the wheel, and its metadata."""
    folder = tmp_path_factory.mktemp("wheel") / "source"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_BUILT_FROM))
    command = "-m pip wheel --no-deps --no-build-isolation --no-index --quiet -w dist ."
    done = subprocess.run(
        [sys.executable, *command.split()], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        return names, archive.read(metadata).decode()


def test_wheel_carries_configs_and_tools(wheel):
    names, _ = wheel
    for folder in ("configs", "tools"):
        expected = {
            f"mmsrnas/.mim/{path.relative_to(ROOT)}"
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert expected and expected <= set(names)
    assert "mmsrnas/.mim/model-index.yml" in names


def test_wheel_carries_genotypes_and_every_module(wheel):
    names, _ = wheel
    for pattern in ("*.py", "*.json"):
        expected = {
            str(path.relative_to(ROOT))
            for path in (ROOT / "mmsrnas").rglob(pattern)
            if ".mim" not in path.parts
        }
        assert expected and expected <= set(names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"mmsrnas"}


def test_wheel_asks_for_no_variant_of_openmmlab(wheel):
    _, metadata = wheel
    assert f"\nVersion: {mmsrnas.__version__}\n" in metadata
    required = re.findall(r"^Requires-Dist: ([\w.-]+)(?!.*extra)", metadata, re.MULTILINE)
    assert set(required) == {"msgspec", "numpy", "platformdirs", "scipy", "torch"}


def test_model_index_names_every_metafile():
    listed = yaml.safe_load((ROOT / "model-index.yml").read_text())["Import"]
    existing = {str(path.relative_to(ROOT)) for path in ROOT.glob("configs/*/metafile.yml")}
    assert set(listed) == existing


@pytest.mark.parametrize(
    "metafile", sorted(ROOT.glob("configs/*/metafile.yml")), ids=lambda p: p.parent.name
)
def test_metafile_names_every_config_of_its_folder(metafile):
    content = yaml.safe_load(metafile.read_text())
    collections = {collection["Name"] for collection in content["Collections"]}
    named = sorted(model["Config"] for model in content["Models"])
    assert named == sorted(str(p.relative_to(ROOT)) for p in metafile.parent.glob("*.py"))
    for model in content["Models"]:
        config = ROOT / model["Config"]
        assert config.is_file() and config.stem == model["Name"]
        assert model["In Collection"] in collections


def test_site_has_every_page():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("configs/**/*.md")]
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    parts = [[part] if isinstance(part, str) else next(iter(part.values())) for part in nav]
    named = [page for part in parts for page in part]
    assert sorted(named) == sorted(str(page.relative_to(ROOT)) for page in pages)


def test_citation_names_this_version():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == mmsrnas.__version__


def locked():
    lines = (ROOT / "requirements/lock.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {pin.name.lower().replace("_", "-"): str(pin.specifier) for pin in pins}


def test_lock_pins_exact_versions():
    assert all(re.fullmatch(r"==[\w.]+", pin) for pin in locked().values())
    assert locked()["torch"] == "==2.13.0"  # a build such as +cpu is the installer's choice


def test_lock_names_what_its_packages_need():
    """Every requirement of a locked package is locked, NVIDIA's libraries of torch excepted."""
    pins, environment = locked(), {**default_environment(), "extra": ""}
    for name, pin in pins.items():
        try:
            if f"=={version(name).split('+')[0]}" != pin:
                pytest.skip(f"{name} is not the locked version: not an environment of `make venv`")
        except PackageNotFoundError:
            pytest.skip(f"{name} is not installed: not an environment of `make venv`")
        for text in requires(name) or []:
            need = Requirement(text)
            if need.marker and not need.marker.evaluate(environment):
                continue
            if not need.name.startswith(("nvidia-", "cuda-", "triton")):
                key = need.name.lower().replace("_", "-")
                assert key in pins, f"{name} needs {need.name}"
                assert need.specifier.contains(pins[key][2:], prereleases=True), f"{name}: {need}"


def test_page_promises_the_environments_that_are_run():
    rows = runpy.run_path(str(ROOT / "tests/environments/matrix.py"))["ROWS"]
    page = (ROOT / "docs/get-started.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("| 3.")] == list(map(str, rows))


def messages(path):
    """Texts of a program that are no docstrings."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Expr):
            children = ast.iter_child_nodes(node)
            texts = [child.value for child in children if isinstance(child, ast.Constant)]
            yield from (text for text in texts if isinstance(text, str))


def test_messages_name_what_an_installed_wheel_has():
    """The command `mmsrnas`; neither `tools` nor `docs` are in the folder of its user."""
    scripts = [p for p in (ROOT / "tools").rglob("*.py") if not p.name.startswith("demo")]
    for path in [*(ROOT / "mmsrnas").rglob("*.py"), *scripts]:
        if ".mim" not in path.parts:
            assert not [m for m in messages(path) if re.search(r"\b(tools|docs)/\w", m)], path
