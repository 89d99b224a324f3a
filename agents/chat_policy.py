"""Chat APIs in OpenAI's dialect as policies, through the ``openai`` client."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..errors import BackendError, ContextLengthError, InputError, MissingExtraError
from ..remote.keys import header_key
from ..remote.wire import MalformedAnswer, object_of
from .policy import CutOffError, Message, Reply

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["ChatPolicy", "PrefilledChatPolicy"]

KEY_VARIABLE = "GENPRM_POLICY_API_KEY"
OPENAI_ADDRESS = "https://api.openai.com/v1"
SEEDS = 2**31
LONGEST_ANSWER = 1_000_000
"""Characters behind which nothing more is read."""


class ChatPolicy:
    """A model behind a chat API. An async context manager; leaving closes the connections.

    Failed requests are tried again by the client, with growing pauses. An answer that breaks off is not,
    because its beginning has been shown: agents ask for it again.

    Args:
        model: Its name there.
        url: The API's address, such as ``http://127.0.0.1:8000/v1``; by default OpenAI's own.
        api_key: By default what the environment variable GENPRM_POLICY_API_KEY holds; else, for OpenAI's own
            address or the one in OPENAI_BASE_URL alone, OPENAI_API_KEY.
        temperature: Of the sampling.
        top_p: Smallest set of tokens with this probability.
        max_tokens: Of one answer, at most.
        retries: How often a failed request is tried again.
        patience: Seconds without an answer after which a request has failed.
        extra: More fields for the request's body, such as ``{"top_k": 20}``.

    Raises:
        MissingExtraError: The ``openai`` package is not installed.
        InputError: There is no key, or it or the address cannot be used.
    """

    def __init__(
        self,
        model: str,
        *,
        url: str | None = None,
        api_key: str | None = None,
        temperature: float = 0.7,
        top_p: float = 1.0,
        max_tokens: int = 2048,
        retries: int = 4,
        patience: float = 300.0,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.name = model
        self._client = _client(url, api_key, retries, patience)
        self._settings = {"temperature": temperature, "top_p": top_p}
        self._max_tokens = max_tokens
        self._extra = dict(extra or {})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def served(self) -> list[str]:
        """The models that the API says it serves; empty where what it says is no list of them.

        Raises:
            BackendError: It does not answer.
        """
        import openai

        try:
            try:
                return await self._listed(self._client.with_options(max_retries=0))
            except openai.APIError as error:
                if _nobody_is_there(error):
                    raise BackendError(self._unreachable(error)) from error
            return await self._listed(self._client)
        except openai.APIError as error:
            raise BackendError(f"{self._address()} does not say what it serves: {_said(error)}") from error

    async def _listed(self, client: AsyncOpenAI) -> list[str]:
        answer = await client.models.with_raw_response.list()
        try:
            listed = object_of(answer.content).get("data")
        except MalformedAnswer:
            return []
        entries = listed if isinstance(listed, list) else []
        names = (each.get("id") for each in entries if isinstance(each, dict))
        return [name for name in names if isinstance(name, str)]

    def _address(self) -> str:
        """The API's, without a password or a key that may stand in it."""
        return str(self._client.base_url.copy_with(userinfo=b"", query=None, fragment=None)).rstrip("/")

    def _unreachable(self, error: Exception) -> str:
        reason = _said(error.__cause__ or error)
        return f"{self._address()} cannot be reached ({reason}): check the address and that the server runs"

    async def __call__(
        self,
        messages: Sequence[Message],
        /,
        *,
        seed: int | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
        show: Callable[[str], None] | None = None,
    ) -> Reply:
        """Answer a chat.

        Raises:
            ContextLengthError: It does not fit into the model's context.
            CutOffError: The answer broke off.
            BackendError: The API refused, or did not answer however often it was asked.
        """
        return await self._answered(messages, seed, max_tokens, stop, show, {})

    async def _answered(
        self,
        messages: Sequence[Message],
        seed: int | None,
        max_tokens: int | None,
        stop: Sequence[str],
        show: Callable[[str], None] | None,
        extra: dict[str, Any],
    ) -> Reply:
        import openai

        request: dict[str, Any] = {
            "model": self.name,
            "messages": list(messages),
            "max_tokens": min(max_tokens or self._max_tokens, self._max_tokens),
            "stream": True,
            "stream_options": {"include_usage": True},
            "extra_body": {**self._extra, **extra},
            **self._settings,
        }
        if seed is not None:
            request["seed"] = seed % SEEDS
        if stop:
            request["stop"] = list(stop)
        try:
            return await self._streamed(request, show)
        except openai.APIError as error:
            reason = self._unreachable(error) if _nobody_is_there(error) else _said(error)
            message = f"the chat API failed on {self.name}: {reason}"
            too_long = "context" in message and isinstance(error, openai.BadRequestError)
            raise (ContextLengthError if too_long else BackendError)(message) from error

    async def _streamed(self, request: dict[str, Any], show: Callable[[str], None] | None) -> Reply:
        import openai

        parts: list[str] = []
        size = 0
        answered = False
        finish, read, written = None, None, None
        async with await self._client.chat.completions.create(**request) as chunks:
            try:
                async for chunk in chunks:
                    if chunk.usage is not None:
                        read, written = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
                    for choice in chunk.choices[:1]:
                        answered = True
                        finish = choice.finish_reason or finish
                        text = choice.delta.content if choice.delta is not None else None
                        if text:
                            parts.append(text)
                            size += len(text)
                            if show is not None:
                                show(text)
                    if size > LONGEST_ANSWER:  # a server that does not end; leaving closes the connection
                        return Reply("".join(parts), "length", read, written)
            except openai.APIConnectionError as error:
                raise CutOffError(f"the chat API broke off its answer: {_said(error)}") from error
        if not answered:
            raise BackendError(
                f"{self._address()} answered without a stream of chat completions: check that the address is "
                "that of an OpenAI-compatible chat API, such as http://host:port/v1"
            )
        # The API calls a stop string and the model's own end by one name.
        whole = "".join(parts)
        if finish in ("length", None):
            return Reply(whole, "length", read, written)
        return Reply(whole, "stop" if request.get("stop") else "end", read, written)


class PrefilledChatPolicy(ChatPolicy):
    """A chat API that goes on behind the last message where that is the assistant's.

    vLLM, SGLang and llama-server do. One that takes the request and answers anew instead cannot be told from
    one that goes on: its solutions then begin twice. Takes the same arguments.
    """

    async def continue_from(
        self,
        messages: Sequence[Message],
        prefix: str,
        /,
        *,
        seed: int | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
        show: Callable[[str], None] | None = None,
    ) -> Reply:
        """Answer a chat with a text that begins with ``prefix``; returns what is behind it.

        Raises:
            ContextLengthError: It does not fit into the model's context.
            BackendError: The API refused, or did not answer however often it was asked.
        """
        import openai

        begun = [*messages, Message(role="assistant", content=prefix)]
        extra = {"continue_final_message": True, "add_generation_prompt": False}
        try:
            return await self._answered(begun, seed, max_tokens, stop, show, extra)
        except BackendError as error:
            if isinstance(error.__cause__, openai.BadRequestError):
                raise BackendError(
                    f"{error} (it was asked to go on behind the assistant's message: leave out prefill if it "
                    "cannot)"
                ) from error.__cause__
            raise


def _client(url: str | None, api_key: str | None, retries: int, patience: float) -> AsyncOpenAI:
    try:
        import openai
    except ImportError:
        raise MissingExtraError("openai", "agents", "a policy behind a chat API") from None
    import httpx2

    given = api_key if api_key is not None else os.environ.get(KEY_VARIABLE)
    if given is None:
        # The client would send OpenAI's key to any address. Servers of one's own mostly want none.
        given = os.environ.get("OPENAI_API_KEY") if _is_openai(url) else "none"
    key = None if given is None else header_key(given)
    try:
        return openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=retries, timeout=patience)
    except openai.OpenAIError as error:
        raise InputError(f"the chat API cannot be used: {error}") from error
    except (httpx2.InvalidURL, UnicodeError):  # which may show a password
        raise InputError(
            "the chat API's address cannot be read: write one such as http://host:port/v1"
        ) from None


def _nobody_is_there(error: Exception) -> bool:
    """Whether no connection came about, as with a wrong address."""
    import httpx2

    return isinstance(error.__cause__, httpx2.ConnectError)


def _is_openai(url: str | None) -> bool:
    known = (OPENAI_ADDRESS, os.environ.get("OPENAI_BASE_URL", OPENAI_ADDRESS))
    return url is None or url.rstrip("/") in [address.rstrip("/") for address in known]


def _said(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
