"""What a caller may write as a model, and what it stands for. Nothing here asks the network."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from ..errors import UnknownModelError
from .catalogue import DEFAULT_QUANTISATION, KnownModel, bundled_models, known_models
from .settings import VerifierSettings

__all__ = ["HubSource", "Located", "find_model", "locate"]

_HUB = re.compile(
    r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^:@\s]+))?(?::(?P<part>[^:@\s]+))?", flags=re.ASCII
)
_REPO_PART = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[\w.-]*\w)?", flags=re.ASCII)
_QUANTISATION = re.compile(r"[\w.-]+", flags=re.ASCII)


@dataclass(frozen=True)
class HubSource:
    """Part of a repository on a model hub: one GGUF file, or a folder of safetensors.

    Attributes:
        repo: ``owner/name``.
        revision: A branch, a tag or a commit.
        file: The GGUF file's name in the repository.
        quantisation: Which GGUF file, if not by name, such as ``Q4_K_M``.
    """

    repo: str
    revision: str = "main"
    file: str | None = None
    quantisation: str | None = None

    @property
    def gguf(self) -> bool:
        """Whether a GGUF file is meant, rather than the safetensors."""
        return self.file is not None or self.quantisation is not None

    def __str__(self) -> str:
        revision = "" if self.revision == "main" else f"@{self.revision}"
        part = self.file or self.quantisation
        return f"{self.repo}{revision}" + (f":{part}" if part else "")


@dataclass(frozen=True)
class Located:
    """What a caller's model stands for.

    Attributes:
        name: What it is called in reports.
        kind: ``gguf`` is a file of this machine, ``folder`` one in the Hugging Face layout, ``server`` speaks
            over HTTP, ``hub`` must be fetched first.
        path: The file or the folder.
        urls: The server's address; several serve the same model.
        hub: Where it is fetched from.
        settings: How it wants to be used, if that is known without its file.
    """

    name: str
    kind: Literal["gguf", "folder", "server", "hub"]
    path: Path | None = None
    urls: tuple[str, ...] = ()
    hub: HubSource | None = None
    settings: VerifierSettings | None = None


def locate(model: str | os.PathLike[str]) -> Located:
    """Find out what a model's name, path or address stands for.

    Args:
        model: A bundled or known name (``genprm-mini``, ``genprm-7b``, ``genprm-7b:Q8_0``), the path of a
            GGUF file or of a folder with a ``config.json``, ``owner/repo`` or ``hf:owner/repo`` for
            safetensors, ``hf:owner/repo:Q4_K_M`` or ``hf:owner/repo:file.gguf`` for a GGUF file, either with
            ``@revision`` behind the repository, or the addresses of servers, separated by commas. A path
            object is always taken for a path.

    Raises:
        UnknownModelError: It is none of these.
    """
    if not isinstance(model, str):
        return _at_path(Path(model))
    for entry in bundled_models():
        if entry.name == model:
            return Located(model, "gguf", path=entry.path)
    if known := _known(model):
        return known
    if model.startswith(("http://", "https://")):
        return _server(model)
    if model.startswith("hf:"):
        return _on_hub(model.removeprefix("hf:"), model)
    if os.path.exists(model):
        return _at_path(Path(model))
    if _HUB.fullmatch(model) and not (model.endswith(".gguf") and ":" not in model):
        return _on_hub(model, model)
    if model.endswith(".gguf") or os.sep in model:
        return _at_path(Path(model))
    raise UnknownModelError(f"unknown model {model!r:.80}: {_advice(model)}")


def find_model(model: str | os.PathLike[str]) -> tuple[str, Path]:
    """The name and the file of a model given by a bundled name or by a GGUF file's path.

    Raises:
        UnknownModelError: It is neither.
    """
    located = locate(model)
    if located.kind != "gguf" or located.path is None:
        raise UnknownModelError(
            f"{os.fspath(model)!r:.80} is no GGUF file: a bundled model or one is needed here"
        )
    return located.name, located.path


def _known(model: str) -> Located | None:
    name, colon, quantisation = model.partition(":")
    entry = next((entry for entry in known_models() if entry.name == name), None)
    if entry is None or (colon and not _QUANTISATION.fullmatch(quantisation)):
        return None
    return Located(model, "hub", hub=_source_of(entry, quantisation), settings=VerifierSettings())


def _source_of(entry: KnownModel, quantisation: str) -> HubSource:
    if not quantisation and importlib.util.find_spec("llama_cpp") is None:
        return HubSource(entry.repo)
    return HubSource(entry.gguf_repo, quantisation=quantisation or DEFAULT_QUANTISATION)


def _on_hub(text: str, written: str) -> Located:
    found = _HUB.fullmatch(text)
    if found is None or not all(_REPO_PART.fullmatch(part) for part in found["repo"].split("/")):
        raise UnknownModelError(
            f"{written!r:.80} is no model on the hub: write hf:owner/repo, hf:owner/repo@revision, "
            "hf:owner/repo:Q4_K_M or hf:owner/repo:file.gguf"
        )
    revision, part = found["revision"] or "main", found["part"]
    if not _stays_inside(revision) or (part is not None and not _stays_inside(part)):
        raise UnknownModelError(f"{written!r:.80} names a revision or a file outside of its repository")
    if part is None:
        source = HubSource(found["repo"], revision)
    elif part.lower().endswith(".gguf"):
        source = HubSource(found["repo"], revision, file=part)
    elif _QUANTISATION.fullmatch(part):
        source = HubSource(found["repo"], revision, quantisation=part)
    else:
        raise UnknownModelError(
            f"{written!r:.80}: behind the colon goes a quantisation or a .gguf file's name"
        )
    return Located(str(source), "hub", hub=source)


def _stays_inside(name: str) -> bool:
    return "\\" not in name and all(part not in ("", ".", "..") for part in name.split("/"))


def _at_path(path: Path) -> Located:
    # Not the path's own methods: they raise where a name is too long or a folder may not be looked into.
    if os.path.isfile(path):
        if path.suffix == ".safetensors":
            raise UnknownModelError(f"{path} is a part of a model: give its folder, {path.parent}")
        return Located(path.stem, "gguf", path=path)
    if os.path.isdir(path):
        if os.path.isfile(path / "config.json"):
            return Located(path.resolve().name, "folder", path=path)
        inside = sorted(file.name for file in path.glob("*.gguf"))
        advice = f"give one of its files, such as {path / inside[0]}" if inside else "it holds no model"
        raise UnknownModelError(f"the folder {path} has no config.json: {advice}")
    raise UnknownModelError(f"there is no model file {path}: {_advice(path.name)}")


def _server(addresses: str) -> Located:
    urls = tuple(address.strip().rstrip("/") for address in addresses.split(","))
    hosts: list[str] = []
    for url in urls:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UnknownModelError(f"{url!r:.80} is no address of a server") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UnknownModelError(f"{url!r:.80} is no address of a server: write http://host:port/v1")
        hosts.append(parts.hostname if port is None else f"{parts.hostname}:{port}")
    return Located(",".join(hosts), "server", urls=urls)


def _advice(model: str) -> str:
    names = [*(entry.name for entry in bundled_models()), *(entry.name for entry in known_models())]
    near = difflib.get_close_matches(model.lower(), names, n=2)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return (
        f"{guess}there are {', '.join(names)}; or give a GGUF file, a folder with a config.json, owner/repo "
        "of a hub, or a server's http:// address"
    )
