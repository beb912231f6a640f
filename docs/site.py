"""Hook of mkdocs: pages lie in the site as in the repository, so that links serve both."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PATTERNS = (
    "*.md",
    "docs/**/*.md",
    "docs/images/*",
    "configs/**/*.md",
    # What pages link to.
    "configs/**/*.py",
    "benchmarks/**/*.csv",
    "mmsrnas/compat.py",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the theme, and of the repository those that are pages or that pages link to."""
    root = Path(config.config_file_path).parent
    theme = [file for file in files if file.src_dir != config.docs_dir]
    found = sorted({path for pattern in PATTERNS for path in root.glob(pattern)})
    pages = [
        File(str(path.relative_to(root)), str(root), config.site_dir, config.use_directory_urls)
        for path in found
    ]
    return Files([*theme, *pages])
