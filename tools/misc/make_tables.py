"""Writes the tables of ``configs/*/README.md`` from the ``metafile.yml`` beside each of them.

A table stands between two comments, and the first names its columns::

    <!-- table: config | Scale | Params | Multi-Adds | Set5 -->
    <!-- end of table -->

A table with ``Params`` has a row for each network, one without it a row for each other config, in
the order of the metafile. ``config`` is a link, ``Params of NAME`` and ``Multi-Adds of NAME`` are
shares of those of another network, a data set of the ``Results`` gives PSNR / SSIM, and any other
column is a key of the ``Metadata``.
"""

import argparse
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
TABLE = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end of table -->\n)", re.DOTALL)
COSTS = {"Params": "Parameters", "Multi-Adds": "FLOPs"}
TEXT_COLUMNS = ("config", "Task", "Released weights", "Images: weights / architecture", "Recipe")

Model = dict[str, Any]


def read_models(root: Path) -> dict[str, Model]:
    """The entries of all metafiles, by name.

    Args:
        root: The folder that holds ``configs``.
    """
    files = sorted(root.glob("configs/*/metafile.yml"))
    models = [model for file in files for model in yaml.safe_load(file.read_text())["Models"]]
    return {model["Name"]: model for model in models}


def quality(results: list[dict[str, Any]], dataset: str) -> str:
    """PSNR / SSIM on a data set, with the digits that were published."""
    for result in results:
        if result["Dataset"] == dataset:
            psnr, ssim = (result["Metrics"].get(key) for key in ("PSNR", "SSIM"))
            if ssim is None:
                return f"{psnr:.2f}"
            digits = 3 if ssim == round(ssim, 3) else 4
            return f"{psnr:.2f} / {ssim:.{digits}f}"
    return "-"


def cell(model: Model, column: str, models: dict[str, Model]) -> str:
    """The text of one cell.

    Raises:
        KeyError: A column names a network that no metafile has.
    """
    metadata = model.get("Metadata", {})
    cost, _, other = column.partition(" of ")
    if column == "config":
        return f"[{model['Name']}]({Path(model['Config']).name})"
    if cost in COSTS and other:
        key = COSTS[cost]
        return f"{100 * metadata[key] / models[other]['Metadata'][key]:.0f} %"
    if column == "Params":
        return f"{metadata['Parameters']:,}"
    if column == "Multi-Adds":
        return f"{metadata['FLOPs'] / 1e9:,.2f} G"
    if column in metadata:
        value = metadata[column]
        return f"{value:,}" if isinstance(value, int) else str(value)
    return quality(model.get("Results", []), column)


def table(columns: list[str], rows: list[Model], models: dict[str, Model]) -> str:
    """A Markdown table.

    Raises:
        ValueError: A column is a dash in all rows, as a misspelt name would be.
    """
    cells = [[cell(model, column, models) for column in columns] for model in rows]
    for column, values in zip(columns, zip(*cells, strict=True), strict=True):
        if set(values) == {"-"}:
            raise ValueError(f"no metafile says anything for the column {column!r}")
    rules = ["---" if column in TEXT_COLUMNS else "---:" for column in columns]
    lines = [f"| {' | '.join(line)} |" for line in (columns, *cells)]
    return "\n".join([lines[0], f"|{'|'.join(rules)}|", *lines[1:], ""])


def make_tables(root: Path, readme: Path) -> str:
    """The text of a README with its tables made anew.

    Args:
        root: The folder that holds ``configs``.
        readme: A README beside a ``metafile.yml``.

    Raises:
        ValueError: The README has no table, or a column that the metafile does not know.
    """
    models = read_models(root)
    folder = readme.parent.relative_to(root)
    own = [model for model in models.values() if Path(model["Config"]).parent == folder]

    def fill(match: re.Match[str]) -> str:
        columns = match[2].split(" | ")
        networks = "Params" in columns
        rows = [m for m in own if ("Parameters" in m.get("Metadata", {})) == networks]
        return match[1] + table(columns, rows, models) + match[3]

    text, count = TABLE.subn(fill, readme.read_text())
    if not count:
        raise ValueError(f"{readme} has no '<!-- table: COLUMNS -->'")
    return text


def main() -> None:
    """Writes the tables and names the files that changed."""
    parser = argparse.ArgumentParser(description="Write the tables of configs/*/README.md")
    parser.parse_args()
    for metafile in sorted(ROOT.glob("configs/*/metafile.yml")):
        readme = metafile.with_name("README.md")
        text = make_tables(ROOT, readme)
        if text != readme.read_text():
            readme.write_text(text)
            print(f"written: {readme.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
