"""Where downloaded models lie: the cache that Hugging Face's own libraries use, in its documented layout.

    models--owner--name/blobs/HASH                  the bytes of a file, once
    models--owner--name/snapshots/COMMIT/NAME       a link to them under the file's name
    models--owner--name/refs/BRANCH                 the commit a branch was at

A link is made only to bytes that were checked, and a folder's ``config.json`` gets the last one, so a model
whose download was stopped is never taken for whole.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..json_objects import json_object
from .hub import HubFile, Listing, needed_files, quantisation_in
from .locating import HubSource

__all__ = ["Downloaded", "HubCache"]

PARTIAL = ".incomplete"
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Downloaded:
    """What is in the cache of one repository.

    Attributes:
        repo: ``owner/name``.
        size: Bytes on the disk.
        holds: ``safetensors``, and the quantisations of its GGUF files.
    """

    repo: str
    size: int
    holds: tuple[str, ...]


class HubCache:
    """A cache folder.

    Args:
        folder: By default what ``HF_HUB_CACHE`` or ``HF_HOME`` says, else ``~/.cache/huggingface/hub``.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        if folder is None:
            from huggingface_hub import constants

            folder = constants.HF_HUB_CACHE
        self.folder = Path(folder).expanduser().absolute()

    def repository(self, repo: str) -> Path:
        """The folder of a repository."""
        return self.folder / "--".join(("models", *repo.split("/")))

    def blob(self, repo: str, file: HubFile) -> Path:
        """Where a file's bytes go."""
        return self.repository(repo) / "blobs" / file.digest

    def pointer(self, repo: str, commit: str, name: str) -> Path:
        """Where a file is found under its own name."""
        return self.repository(repo) / "snapshots" / commit / name

    def has(self, repo: str, commit: str, file: HubFile) -> bool:
        """Whether a file needs no download any more."""
        return file.size in (_size(self.pointer(repo, commit, file.name)), _size(self.blob(repo, file)))

    def begun(self, repo: str, file: HubFile) -> int:
        """How many bytes of a file an unfinished download has left."""
        blob = self.blob(repo, file)
        return min(file.size, _size(blob.with_name(blob.name + PARTIAL)) or 0)

    def free_bytes(self) -> int:
        """Room on the disk that the cache is on."""
        existing = next(folder for folder in (self.folder, *self.folder.parents) if folder.exists())
        return shutil.disk_usage(existing).free

    def link(self, source: HubSource, listing: Listing, names: Iterable[str]) -> None:
        """Make files whose bytes are here appear under their names, and remember the branch's commit."""
        files = {file.name: file for file in listing.files}
        for name in sorted(names, key=lambda name: name == "config.json"):
            pointer = self.pointer(source.repo, listing.commit, name)
            if _size(pointer) != files[name].size:
                _link(self.blob(source.repo, files[name]), pointer)
        if source.revision != listing.commit:
            _write(self.repository(source.repo) / "refs" / source.revision, listing.commit)

    def find(self, source: HubSource) -> Path | None:
        """The file or folder of a model that is here, as a whole; else None."""
        snapshot = self._snapshot(source)
        if snapshot is None:
            return None
        present = [file.relative_to(snapshot).as_posix() for file in snapshot.rglob("*") if file.is_file()]
        try:
            names = needed_files(present, source)
        except ModelError:
            return None
        if source.gguf:
            return snapshot / names[0]
        return snapshot if _is_whole(snapshot, names) else None

    def _snapshot(self, source: HubSource) -> Path | None:
        repository, commit = self.repository(source.repo), source.revision
        if not _COMMIT.fullmatch(commit):
            try:
                commit = (repository / "refs" / commit).read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError):
                return None
        snapshot = repository / "snapshots" / commit
        return snapshot if _COMMIT.fullmatch(commit) and os.path.isdir(snapshot) else None

    def downloaded(self) -> list[Downloaded]:
        """The repositories in the cache that hold models of the kinds this library loads."""
        found: list[Downloaded] = []
        for repo in self._scan().repos if self.folder.is_dir() else ():
            names = {file.file_name for revision in repo.revisions for file in revision.files}
            ggufs = sorted(
                {quantisation_in(name) or name for name in names if name.lower().endswith(".gguf")}
            )
            safetensors = any(name.endswith(".safetensors") for name in names)
            holds = (*(["safetensors"] if safetensors else []), *ggufs)
            if repo.repo_type == "model" and holds:
                found.append(Downloaded(repo.repo_id, repo.size_on_disk, holds))
        return sorted(found, key=lambda entry: entry.repo)

    def remove(self, source: HubSource) -> int:
        """Delete a model; returns how many bytes that freed, 0 if it is not here.

        Of a repository's GGUF files only those asked for go. Safetensors go with all that was downloaded of
        the repository, at every revision unless one is named. Unfinished downloads of the repository go too.
        """
        if not self.folder.is_dir():
            return 0
        freed = self._remove_partials(source.repo)
        scan = self._scan()
        repo = next(
            (repo for repo in scan.repos if repo.repo_type == "model" and repo.repo_id == source.repo), None
        )
        if repo is None:
            return freed
        revisions = [
            revision
            for revision in repo.revisions
            if source.revision in ("main", revision.commit_hash, *revision.refs)
        ]
        if source.gguf:
            chosen = [file for revision in revisions for file in _gguf_files(revision, source)]
            if len(chosen) < sum(len(revision.files) for revision in revisions):
                strategy = scan.delete_files(*chosen)
                strategy.execute()
                return freed + int(strategy.expected_freed_size)
        strategy = scan.delete_revisions(*(revision.commit_hash for revision in revisions))
        strategy.execute()
        return freed + int(strategy.expected_freed_size)

    def _remove_partials(self, repo: str) -> int:
        freed = 0
        for partial in (self.repository(repo) / "blobs").glob(f"*{PARTIAL}"):
            freed += _size(partial) or 0
            partial.unlink(missing_ok=True)
        return freed

    def _scan(self) -> Any:
        from huggingface_hub import scan_cache_dir

        return scan_cache_dir(self.folder)


def _gguf_files(revision: Any, source: HubSource) -> list[Any]:
    files = {file.file_path.relative_to(revision.snapshot_path).as_posix(): file for file in revision.files}
    try:
        return [files[name] for name in needed_files(files, source)]
    except ModelError:
        return []


def _is_whole(snapshot: Path, names: list[str]) -> bool:
    """Whether a folder has a tokenizer and all the weights that its index names."""
    indexes = [name for name in names if name.endswith(".safetensors.index.json")]
    in_shards = any(re.search(r"-\d{5}-of-\d{5}\.safetensors$", name) for name in names)
    if not any(name.startswith("tokenizer") for name in names) or (in_shards and not indexes):
        return False
    for index in indexes:
        try:
            shards = set(json_object((snapshot / index).read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        if not shards <= set(names):
            return False
    return True


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _link(blob: Path, pointer: Path) -> None:
    pointer.parent.mkdir(parents=True, exist_ok=True)
    fresh = pointer.with_name(f"{pointer.name}.{uuid.uuid4().hex[:8]}")
    try:
        fresh.symlink_to(os.path.relpath(blob, pointer.parent))
    except OSError:  # a disk without symbolic links
        os.replace(blob, pointer)
    else:
        os.replace(fresh, pointer)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}")
    fresh.write_text(text, encoding="ascii")
    os.replace(fresh, file)
