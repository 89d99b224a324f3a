"""The site: built without a warning, page by page what the repository says, and in need of nothing else."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from .pages import ROOT, name_of, tokens_of

pytest.importorskip("mkdocs")

DOCS = sorted(ROOT.glob("docs/*.md"))
LOADED = re.compile(r"""url\(\s*["']?(?:https?:)?//|@import|sourceMappingURL=http""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Tags(HTMLParser):
    """Counts the tags of a page's article, and notes what the whole page loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.loads: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = self._inside or tag == "article"
        if self._inside:
            self.counts[tag] = self.counts.get(tag, 0) + 1
        named = dict(attrs)
        source = named.get("src") or (named.get("href") if tag == "link" else None)
        if source:
            self.loads.append(source)

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "article"


@pytest.mark.parametrize("page", DOCS, ids=name_of)
def test_a_page_is_read_as_in_the_repository(page: Path, site: Path) -> None:
    """Tables, blocks and lists come out of two readers of Markdown alike."""
    counts = Tags((site / f"{page.stem}.html").read_text(encoding="utf-8")).counts
    kinds = [token.type for token in tokens_of(page)]
    assert counts.get("table", 0) == kinds.count("table_open")
    assert counts.get("pre", 0) == kinds.count("fence") + kinds.count("code_block")
    assert counts.get("li", 0) == kinds.count("list_item_open")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        foreign = [load for load in Tags(page.read_text(encoding="utf-8")).loads if "//" in load]
        assert not foreign, page
    for style in site.rglob("*.css"):
        assert not LOADED.search(style.read_text(encoding="utf-8")), style


def test_every_public_name_of_a_module_is_in_its_reference(site: Path) -> None:
    _, packed = (site / "objects.inv").read_bytes().split(b"using zlib.\n", 1)
    documented = {line.split(" ")[0] for line in zlib.decompress(packed).decode().splitlines()}
    modules = [page.name.removesuffix(".html") for page in (site / "api").glob("*.html")]
    assert "genprm_sdk" in modules
    for name in modules:
        public = importlib.import_module(name).__all__
        assert public, name
        assert {f"{name}.{each}" for each in public} <= documented
