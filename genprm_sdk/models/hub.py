"""What a repository on a hub holds, and which of its files a model needs.

Everything a hub says is somebody else's word: names, sizes and hashes are checked before they become paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..errors import DownloadError, ModelFileError, UnknownModelError
from ..json_objects import json_object, read_whole
from .gguf import SPLIT
from .locating import HubSource

if TYPE_CHECKING:
    import httpx2

__all__ = [
    "HubFile",
    "Listing",
    "address_of",
    "list_repository",
    "needed_files",
    "quantisation_in",
    "reaching",
    "refuse",
    "request_headers",
]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_WEIGHTS = re.compile(r"model(?:-\d{5}-of-\d{5})?\.safetensors")
_BESIDE_WEIGHTS = re.compile(
    r"config\.json|generation_config\.json|tokenizer[^/]*\.json|chat_template[^/]*|special_tokens_map\.json"
    r"|[^/]*\.safetensors\.index\.json"
)
_QUANTISATION = re.compile(
    r"(?:^|[-._/])((?:UD-)?(?:I?Q\d\w*|T?F16|BF16|F32|MXFP4\w*))(?=[-._/]|$)", flags=re.IGNORECASE
)
_MOST_NAMED = 12
_LONGEST_LISTING = 32 << 20


@dataclass(frozen=True)
class HubFile:
    """A file of a repository.

    Attributes:
        name: Its path in the repository.
        size: Bytes.
        digest: Its SHA-256 if it is a large one, else git's SHA-1 of it; its name in the cache.
    """

    name: str
    size: int
    digest: str


@dataclass(frozen=True)
class Listing:
    """What a repository holds at one commit."""

    commit: str
    files: tuple[HubFile, ...]


def address_of(source: HubSource, commit: str, name: str, endpoint: str) -> str:
    """Where a file is downloaded from."""
    from huggingface_hub import hf_hub_url

    return hf_hub_url(source.repo, name, revision=commit, endpoint=endpoint)


def request_headers() -> dict[str, str]:
    """Who asks, with the token that ``HF_TOKEN`` or an earlier login gave."""
    from huggingface_hub import constants, get_token

    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    return {"User-Agent": "genprm-sdk", **({"Authorization": f"Bearer {token}"} if token else {})}


@contextmanager
def reaching(source: HubSource, endpoint: str) -> Iterator[None]:
    """Make one clear error of whatever keeps a request from its answer."""
    import httpx2

    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DownloadError(
            f"cannot reach {endpoint} for {source.repo}: {reason}; check the network, or HF_ENDPOINT if set"
        ) from error


def refuse(response: httpx2.Response, source: HubSource, endpoint: str) -> None:
    """Say what an answer other than success means.

    Raises:
        DownloadError: Always.
    """
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    if code == "RevisionNotFound":
        raise DownloadError(f"{source.repo} has no revision {source.revision}")
    if code == "EntryNotFound":
        raise DownloadError(f"{source.repo} lists {response.url.path} and does not have it: try again later")
    if code == "RepoNotFound" or status == 404:
        raise DownloadError(
            f"there is no repository {source.repo} on {endpoint}, or it is private: check the name, or set "
            "HF_TOKEN to a token that may read it"
        )
    if status in (401, 403):
        raise DownloadError(
            f"{endpoint} does not let you have {source.repo}: accept its licence at "
            f"{endpoint}/{source.repo}, then set HF_TOKEN to a token of the account that did"
        )
    advice = "wait a little" if status == 429 else "try again later"
    raise DownloadError(f"{endpoint} answers {status} for {source.repo}: {advice}")


async def list_repository(client: httpx2.AsyncClient, source: HubSource, endpoint: str) -> Listing:
    """Ask a hub what a repository holds.

    Raises:
        DownloadError: It cannot be asked, does not tell, or tells nonsense.
    """
    from huggingface_hub import constants

    address = f"{endpoint}/api/models/{source.repo}/revision/{quote(source.revision, safe='')}"
    with reaching(source, endpoint):
        async with client.stream(
            "GET",
            address,
            params={"blobs": "true"},
            headers=request_headers(),
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        ) as response:
            if not response.is_success:
                refuse(response, source, endpoint)
            try:
                return _listing(json_object(await read_whole(response.aiter_bytes(), _LONGEST_LISTING)))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DownloadError(
                    f"what {endpoint} says of {source.repo} cannot be used: {error}; is it a model hub?"
                ) from error


def _listing(answer: Mapping[str, Any]) -> Listing:
    commit = str(answer["sha"])
    if not _COMMIT.fullmatch(commit):
        raise ValueError(f"{commit!r:.60} is no commit")
    return Listing(commit, tuple(_file(entry) for entry in answer["siblings"]))


def _file(entry: Mapping[str, Any]) -> HubFile:
    name, large = entry["rfilename"], entry.get("lfs")
    if not isinstance(name, str) or not _is_plain(name):
        raise ValueError(
            f"it lists a file {name!r:.80}, which has no proper name or would lie outside of its folder"
        )
    size, digest = (large["size"], large["sha256"]) if large else (entry["size"], entry["blobId"])
    if type(size) is not int or not 0 <= size < 2**63:
        raise ValueError(f"{name!r:.80} has a size of {size!r:.40}")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError(f"{name!r:.80} has a hash of {digest!r:.40}")
    return HubFile(name, size, digest)


def _is_plain(name: str) -> bool:
    """Whether a name can be a file's and stays inside the folder it is put in, on any system."""
    parts = name.split("/")
    return all(part not in ("", ".", "..") for part in parts) and not re.search(
        r"[\\:\x00-\x1f\x7f\ud800-\udfff]", name
    )


def quantisation_in(name: str) -> str:
    """The quantisation a GGUF file's name speaks of, or nothing."""
    found = _QUANTISATION.findall(name.removesuffix(".gguf"))
    return found[-1].upper() if found else ""


def needed_files(names: Iterable[str], source: HubSource) -> list[str]:
    """Which of a repository's files a model needs; a GGUF model's first file comes first.

    Never pickled weights and never code.

    Raises:
        UnknownModelError: It does not have such a file.
        ModelFileError: It lacks a part.
    """
    present = sorted(names)
    ggufs = [name for name in present if name.lower().endswith(".gguf") and not _is_projector(name)]
    if source.gguf:
        return _gguf_parts(ggufs, source)
    if not any(name.endswith(".safetensors") for name in present if "/" not in name):
        advice = (
            f"write hf:{source.repo}:QUANTISATION with one of its GGUF files' ({_quantisations(ggufs)})"
            if ggufs
            else "weights of other kinds are not loaded, because pickled ones can run code"
        )
        raise UnknownModelError(f"{source.repo} holds no safetensors: {advice}")
    if "config.json" not in present:
        raise ModelFileError(f"{source.repo} holds no config.json: it is no model of the Hugging Face layout")
    weights = [name for name in present if "/" not in name and name.endswith(".safetensors")]
    usual = [name for name in weights if _WEIGHTS.fullmatch(name)]
    return [name for name in present if _BESIDE_WEIGHTS.fullmatch(name)] + (usual or weights)


def _is_projector(name: str) -> bool:
    return name.rpartition("/")[2].lower().startswith("mmproj")


def _gguf_parts(ggufs: list[str], source: HubSource) -> list[str]:
    models: dict[str, list[str]] = {}
    for name in ggufs:
        split = SPLIT.fullmatch(name)
        models.setdefault(split["stem"] if split else name.removesuffix(".gguf"), []).append(name)
    if source.file is not None:
        matching = [parts for parts in models.values() if source.file in parts]
        wanted = f"file {source.file}"
    else:
        ending = re.compile(rf"(?:^|[-./]){re.escape(source.quantisation or '')}(?=[-./]|$)", re.IGNORECASE)
        matching = [parts for stem, parts in models.items() if ending.search(stem)]
        wanted = f"GGUF file of the quantisation {source.quantisation}"
    if not matching:
        raise UnknownModelError(
            f"{source.repo} has no {wanted}: "
            + (f"there are {_quantisations(ggufs)}" if ggufs else "it holds no GGUF file at all")
        )
    if len(matching) > 1:
        firsts = " or ".join(parts[0] for parts in matching[:_MOST_NAMED])
        raise UnknownModelError(
            f"{source.repo} has more than one {wanted}: write hf:{source.repo}:FILE, with {firsts}"
        )
    parts = matching[0]
    split = SPLIT.fullmatch(parts[0])
    numbers = [int(found["part"]) for name in parts if (found := SPLIT.fullmatch(name))]
    if split and numbers != list(range(1, int(split["parts"]) + 1)):
        raise ModelFileError(f"of the {int(split['parts'])} parts of {parts[0]}, only {numbers} are there")
    return parts


def _quantisations(ggufs: list[str]) -> str:
    found = dict.fromkeys(quantisation_in(name) or name for name in ggufs)
    shown = list(found)[:_MOST_NAMED]
    return ", ".join(shown) + (" and others" if len(found) > len(shown) else "")
