"""A model hub on loopback: what a download needs of Hugging Face's interface, and its ways to fail."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

__all__ = ["HubServer", "Request"]

LARGE = (".safetensors", ".gguf", "tokenizer.json")
PIECE = 1 << 16


@dataclass
class Request:
    """What was asked, and how many bytes of a file were given."""

    method: str
    path: str
    range: str | None
    authorized: bool
    host: str
    status: int = 0
    sent: int = 0


@dataclass
class HubServer:
    """Serves repositories that tests fill.

    Attributes:
        repos: File contents by repository and name; a name may be hostile.
        requests: What was asked so far.
        cuts: By file name, after how many bytes the next connections for it break; used up one by one.
        refusals: Status and error code by the start of a path.
        lies: By file name, bytes that are sent in place of the listed ones.
        ranges: Whether requests for a part are understood.
        elsewhere: Whether large files are served from another host, after a redirection.
        gate: Files stop after their first 1.5 MB until this is set.
        overrides: What a listing's entry of a file says otherwise.
        said: What is sent in place of any listing.
    """

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    lies: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    elsewhere: bool = False
    gate: threading.Event = field(default_factory=threading.Event)
    overrides: dict[str, Any] = field(default_factory=dict)
    said: bytes | None = None

    def __enter__(self) -> Self:
        self.gate.set()
        hub = self

        class Handler(_Handler):
            server_of_files = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def commit(self, repo: str) -> str:
        digest = hashlib.sha1(usedforsecurity=False)
        for name, data in sorted(self.repos[repo].items()):
            digest.update(name.encode() + data)
        return digest.hexdigest()

    def downloads(self, name: str = "") -> list[Request]:
        """The requests for files whose name ends in this."""
        return [
            request
            for request in self.requests
            if request.method == "GET" and "/resolve/" in request.path and request.path.endswith(name)
        ]

    def listing(self, repo: str) -> Mapping[str, Any]:
        entries = [self._entry(name, data) for name, data in self.repos[repo].items()]
        return {"id": repo, "sha": self.commit(repo), "siblings": entries} | self.overrides.get("", {})

    def _entry(self, name: str, data: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git_hash(data)}
        if name.endswith(LARGE):
            entry["lfs"] = {"size": len(data), "sha256": sha256(data), "pointerSize": 130}
        return entry | self.overrides.get(name, {})


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of_files: HubServer

    def log_message(self, format: str, *args: object) -> None:
        return

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.server_of_files
        path = unquote(urlsplit(self.path).path)
        asked = Request(
            self.command,
            path,
            self.headers.get("Range"),
            "Authorization" in self.headers,
            self.headers["Host"].partition(":")[0],
        )
        hub.requests.append(asked)
        for start, (status, code) in hub.refusals.items():
            if path.startswith(start):
                self.answer(asked, status, b"{}", {"X-Error-Code": code} if code else {})
                return
        if path.startswith("/api/models/"):
            repo, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            if repo not in hub.repos:
                self.answer(asked, 401, b"{}", {"X-Error-Code": "RepoNotFound"})
            elif revision not in ("main", hub.commit(repo)):
                self.answer(asked, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            else:
                self.answer(asked, 200, hub.said or json.dumps(hub.listing(repo)).encode())
            return
        repo, _, rest = path.lstrip("/").partition("/resolve/")
        commit, _, name = rest.partition("/")
        if commit not in ("main", hub.commit(repo)) or name not in hub.repos[repo]:
            self.answer(asked, 404, b"{}", {"X-Error-Code": "EntryNotFound"})
        elif hub.elsewhere and asked.host != "localhost" and self.command == "GET":
            self.answer(asked, 302, b"", {"Location": f"http://localhost:{hub.port}{self.path}"})
        else:
            self.give(asked, repo, name)

    def answer(self, asked: Request, status: int, body: bytes, headers: Mapping[str, str] = {}) -> None:
        asked.status = status
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def give(self, asked: Request, repo: str, name: str) -> None:
        hub = self.server_of_files
        listed = hub.repos[repo][name]
        data = hub.lies.get(name, listed)
        start = int(asked.range.removeprefix("bytes=").rstrip("-")) if asked.range and hub.ranges else 0
        if start >= len(data) > 0:
            self.answer(asked, 416, b"")
            return
        asked.status = 206 if start else 200
        self.send_response(asked.status)
        self.send_header("ETag", f'"{sha256(listed) if name.endswith(LARGE) else git_hash(listed)}"')
        self.send_header("X-Repo-Commit", hub.commit(repo))
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        cuts = hub.cuts.get(name, [])
        end = min(len(data), start + cuts.pop(0)) if cuts else len(data)
        try:
            for place in range(start, end, PIECE):
                if place - start >= 1_500_000:
                    hub.gate.wait()
                piece = data[place : min(end, place + PIECE)]
                self.wfile.write(piece)
                asked.sent += len(piece)
        except OSError:
            self.close_connection = True
        if end < len(data):
            self.close_connection = True
