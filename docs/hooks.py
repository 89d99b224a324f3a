"""What the site is made of beside ``docs/``: the reference, and files that lie in the root of the tree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
FROM_ROOT = {
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
}
FROM_A_RUN = "reproduction.md"
"""In the navigation once ``make reproduce`` has written it."""
SOURCES = TemporaryDirectory(prefix="genprm-docs-")


@event_priority(100)  # before mkdocstrings reads its configuration
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Give the reference the tree as it is imported, with two of its folders inside ``genprm_sdk``."""
    package = Path(SOURCES.name, "genprm_sdk")
    package.mkdir(exist_ok=True)
    for entry in (*(ROOT / "genprm_sdk").iterdir(), ROOT / "agents", ROOT / "training"):
        link = package / entry.name
        if not link.is_symlink():
            link.symlink_to(entry)
    if not Path(config.docs_dir, FROM_A_RUN).exists():
        config.nav = [entry for entry in config.nav or [] if FROM_A_RUN not in pages(entry)]
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [SOURCES.name]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each module of the navigation that has none, and those whose text lies in the root."""
    for page in pages(config.nav):
        if page.startswith("api/") and page not in files.src_uris:
            module = page.removeprefix("api/").removesuffix(".md")
            files.append(File.generated(config, page, content=f"# {module}\n\n::: {module}\n"))
    for page, name in FROM_ROOT.items():
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, page, content=text))
    return files


def pages(nav: Any) -> Iterator[str]:
    """The paths in a navigation of lists and dictionaries."""
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from pages(entry)
