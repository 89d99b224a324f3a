"""One server: requests over HTTP, and what is wrong when they fail.

What may go better another time is a ``Failed``; everything else is an error for the caller.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr

from ..errors import BackendError, ContextLengthError, InputError
from ..json_objects import read_whole
from .wire import Chunk, MalformedAnswer, bytes_of, chunk_of, events, object_of

__all__ = ["Failed", "Server", "address_of"]

CONNECT_SECONDS = 10.0
LONGEST_BODY = 64 << 20
"""Bytes of an answer that is not streamed."""

LONGEST_TOKEN = 256
"""Characters of a token: twice those of the longest in known vocabularies."""

SPARE = 4096
"""Parts of a streamed answer that may say nothing."""

LONGEST_WAIT = 300.0
"""Seconds; a server that asks for more patience is taken to mean this."""

JSON = {"Content-Type": "application/json"}
BUSY = (408, 409, 425, 429, 500, 502, 503, 504, 529)
NO_ROOM = ("context length", "context size", "exceed_context", "maximum context", "max_model_len", "too long")


class Failed(Exception):
    """A request failed in a way that may go better another time, or elsewhere.

    Attributes:
        wait: Seconds that the server asks to be left alone, if it does.
        stale: Whether nothing was answered at all, as on a connection that the server had closed meanwhile.
    """

    def __init__(self, message: str, wait: float | None = None, *, stale: bool = False) -> None:
        super().__init__(message)
        self.wait = wait
        self.stale = stale


def address_of(url: str) -> str:
    """A server's address, without the ``/v1`` that some write behind it.

    Raises:
        InputError: It is no address of a web server, or holds a password.
    """
    url = url.strip()
    if "@" in re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0]:
        raise InputError("a server's address must not hold a password: give it as api_key")
    try:
        parts = urlsplit(url)
        port = parts.port
        httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):  # which may show a password
        raise InputError(
            "a server's address cannot be read: write http://host:port, with a port up to 65535"
        ) from None
    shown = repr(re.split("[?#]", url, maxsplit=1)[0].rpartition("@")[2])[:200]
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InputError(f"{shown} is not a server's address: write http://host:port")
    if parts.query or parts.fragment:
        raise InputError(f"{shown} is a server's address without what begins with ? or #: leave that out")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/").removesuffix("/v1")


class Server:
    """One server.

    Args:
        address: Where it is, without ``/v1``.
        api_key: Sent as a bearer token, if any; never shown.
        patience: Seconds without a byte, or without text in a streamed answer, after which a request has
            failed.
        connections: Requests at once.

    Attributes:
        address: Where it is.
        outstanding: Requests that run.
    """

    def __init__(
        self, address: str, api_key: SecretStr | None = None, patience: float = 300.0, connections: int = 64
    ) -> None:
        self.address = address
        self.outstanding = 0
        self._patience = patience
        headers = {"Authorization": f"Bearer {api_key.get_secret_value()}"} if api_key else {}
        self._client = httpx2.AsyncClient(
            base_url=address,
            headers=headers,
            verify=address.startswith("https:"),  # reading certificates takes long, for http in vain
            timeout=httpx2.Timeout(patience, connect=CONNECT_SECONDS, pool=None),
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    def __repr__(self) -> str:
        return f"Server({self.address!r})"

    async def get(self, path: str) -> dict[str, Any] | None:
        """The object at a path, or None if the server knows no such path.

        Raises:
            Failed: It may be there another time.
            BackendError: The server refuses.
        """
        async with self._answer("GET", path, None) as response:
            if response.status_code in (404, 405, 501):
                return None
            data = await self._body(response)
            self._check(path, response.status_code, data)
            return self._read(path, data)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The object that a request is answered with.

        Raises:
            Failed: It may be answered another time.
            ContextLengthError: It is too long for the server.
            BackendError: The server refuses.
        """
        async with self._answer("POST", path, body) as response:
            data = await self._body(response)
            self._check(path, response.status_code, data)
            return self._read(path, data)

    async def completion(self, body: Mapping[str, Any]) -> Chunk:
        """A whole completion; see ``post``."""
        try:
            return chunk_of(await self.post("/v1/completions", {**body, "stream": False}))
        except MalformedAnswer as error:
            raise Failed(f"{self.address} answered with {error}") from error

    async def completions(self, body: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        """A completion's parts as they come; leaving early ends it; see ``post``.

        Raises:
            Failed: It broke off, is longer than asked for, or may be answered another time.
        """
        path = "/v1/completions"
        options = {"stream": True, "stream_options": {"include_usage": True}}
        async with self._answer("POST", path, {**body, **options}) as response:
            if response.status_code >= 300:
                self._check(path, response.status_code, await self._body(response))
            ended = False
            left = LONGEST_TOKEN * body["max_tokens"] + SPARE
            try:
                async with aclosing(response.aiter_bytes()) as stream, aclosing(events(stream)) as answers:
                    patient_until = self._patient_until()
                    while (answer := await self._next(answers, patient_until)) is not None:
                        if "error" in answer or "choices" not in answer:
                            raise Failed(f"{self.address} broke off: {_message(answer)}")
                        chunk = chunk_of(answer)
                        if chunk.ended not in (None, "stop", "length"):
                            raise Failed(f"{self.address} broke off: {chunk.ended}")
                        left -= max(1, len(chunk.text), len(chunk.tokens or ()))
                        if left < 0:
                            raise Failed(f"{self.address} answered with far more than it was asked for")
                        ended = ended or chunk.ended is not None
                        yield chunk
                        if chunk.text or chunk.tokens:
                            patient_until = self._patient_until()
            except MalformedAnswer as error:
                raise Failed(f"{self.address} answered with {error}") from error
            if not ended:
                raise Failed(f"{self.address} cut its answer short")

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    def _patient_until(self) -> float:
        return asyncio.get_running_loop().time() + self._patience

    async def _next(
        self, answers: AsyncGenerator[dict[str, Any], None], patient_until: float
    ) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout_at(patient_until):
                return await anext(answers, None)
        except TimeoutError as error:
            raise Failed(f"{self.address} writes no text") from error

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> AsyncIterator[httpx2.Response]:
        self.outstanding += 1
        answered = False
        try:
            content, headers = (None, None) if body is None else (bytes_of(body), JSON)
            async with self._client.stream(method, path, content=content, headers=headers) as response:
                answered = True
                if response.status_code in BUSY:
                    wait = _retry_after(response.headers.get("retry-after"))
                    message = _message(await self._body(response))
                    raise Failed(f"{self.address} answered {response.status_code}: {message}", wait)
                yield response
        except httpx2.TimeoutException as error:
            raise Failed(f"{self.address} does not answer ({type(error).__name__})") from error
        except httpx2.TransportError as error:
            stale = not answered and isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError)
            reason = str(error) or type(error).__name__
            raise Failed(f"{self.address} cannot be reached: {reason}", stale=stale) from error
        except httpx2.HTTPError as error:
            raise Failed(f"{self.address} answered with something broken: {error}") from error
        finally:
            self.outstanding -= 1

    async def _body(self, response: httpx2.Response) -> bytes:
        try:
            return await read_whole(response.aiter_bytes(), LONGEST_BODY)
        except ValueError:
            raise BackendError(f"{self.address} answered with more than {LONGEST_BODY >> 20} MiB") from None

    def _read(self, path: str, data: bytes) -> dict[str, Any]:
        try:
            return object_of(data)
        except MalformedAnswer as error:
            raise Failed(f"{self.address}{path} answered with {error}") from error

    def _check(self, path: str, status: int, data: bytes) -> None:
        if status < 300:
            return
        message = _message(data)
        if status in (401, 403):
            raise BackendError(
                f"{self.address} refuses the request ({status}): give the key it wants as api_key, or in the "
                "environment as GENPRM_API_KEY"
            )
        if status in (404, 405):
            raise BackendError(
                f"{self.address} answered {status} for {path}: {message}; give the address of a server with "
                "the OpenAI completions API"
            )
        if status in (400, 413, 422) and any(part in message.lower() for part in NO_ROOM):
            raise ContextLengthError(f"too long for {self.address}: {message}")
        raise BackendError(f"{self.address} answered {status}: {message}")


def _message(answer: bytes | Mapping[str, Any]) -> str:
    """What a server says is wrong, on one short line."""
    if isinstance(answer, bytes):
        try:
            answer = object_of(answer)
        except MalformedAnswer:
            assert isinstance(answer, bytes)
            return " ".join(answer[:500].decode("utf-8", "replace").split()) or "nothing"
    error = answer.get("error", answer)
    text = error.get("message", error) if isinstance(error, Mapping) else answer.get("message", error)
    return " ".join(str(text)[:500].split())


def _retry_after(value: str | None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for, which says a number or a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            until = parsedate_to_datetime(value)
            seconds = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else None
