import runpy
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools/misc/make_tables.py"))
READMES = sorted(path.with_name("README.md") for path in ROOT.glob("configs/*/metafile.yml"))


@pytest.fixture
def copy(tmp_path):
    """The metafiles and READMEs, in a folder that a test may change."""
    for readme in READMES:
        folder = tmp_path / readme.parent.relative_to(ROOT)
        folder.mkdir(parents=True)
        for name in ("README.md", "metafile.yml"):
            shutil.copy(readme.with_name(name), folder)
    return tmp_path


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_tables_are_those_of_the_metafile(readme):
    text = readme.read_text()
    assert TOOL["make_tables"](ROOT, readme) == text, "run `make tables`"
    configs = [path.name for path in readme.parent.glob("*.py")]
    assert configs and all(f"({name})" in text for name in configs)


def test_a_number_of_the_metafile_gets_into_every_table_that_shows_it(copy):
    metafile = copy / "configs/drn/metafile.yml"
    metafile.write_text(
        metafile.read_text().replace("4804065", "9000000").replace("0.79\n", "0.7912\n")
    )
    drn = TOOL["make_tables"](copy, metafile.with_name("README.md"))
    assert "| 9,000,000 | 685.29 G | 32.68 / 0.901 | 28.93 / 0.7912 |" in drn
    drc = TOOL["make_tables"](copy, copy / "configs/drc/README.md")
    assert "| 2,267,417 | 25 % | 329.95 G | 48 % | 32.50 / 0.898 |" in drc


def test_a_column_that_no_metafile_knows_is_an_error(copy):
    readme = copy / "configs/hnas/README.md"
    readme.write_text(
        readme.read_text().replace("table: config | Lambda |", "table: config | lamda |")
    )
    with pytest.raises(ValueError, match="'lamda'"):
        TOOL["make_tables"](copy, readme)
