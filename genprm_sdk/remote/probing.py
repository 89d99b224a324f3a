"""What a server can do, found out by asking it, once.

Names and versions are not looked at: a proxy may stand in front, and servers learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BackendError, ContextLengthError
from .fleet import Fleet, Home
from .server import Server
from .wire import Chunk

__all__ = ["EXTRAS", "Capabilities", "Prompt", "probe"]

Prompt = list[int] | str

EXTRAS: dict[str, Any] = {
    "return_token_ids": True,
    "verbose": True,
    "timings_per_token": True,
    "return_tokens_as_token_ids": True,
    "include_stop_str_in_output": True,
    "no_stop_trim": True,
}
"""What makes servers tell more: tokens by number, and the stop string that ended a text. Servers ignore those
that they do not know, or refuse all of them."""

TOPS = (1000, 100, 20, 5)
"""How many log-probabilities servers may be asked for: more than suffice, their usual limits."""

USUAL_TOP = 20

ATTEMPTS = 3
"""Few, because some servers take what they do not know for a failure of their own."""


@dataclass(frozen=True)
class Capabilities:
    """What a server can do.

    Attributes:
        extras: Whether it takes parameters that are not OpenAI's.
        token_prompts: Whether it takes prompts as tokens.
        token_answers: Whether it tells which tokens it wrote.
        stops: Whether a text that ended at a stop string holds it.
        by_number: Whether it tells the log-probability of any token that it is asked for.
        top: How many log-probabilities of the next token it shows at most.
    """

    extras: bool
    token_prompts: bool
    token_answers: bool
    stops: bool
    by_number: bool
    top: int

    @property
    def usual_top(self) -> int:
        """How many log-probabilities to ask for first."""
        return min(self.top, USUAL_TOP)


async def probe(fleet: Fleet, model: str, tokens: list[int] | None, text: str) -> Capabilities:
    """Find out what the servers of a fleet can do, by a handful of requests of two tokens.

    Args:
        fleet: The servers; the first that answers speaks for all.
        model: The model's name there.
        tokens: A short prompt, where tokens are known.
        text: The same as text.

    Raises:
        BackendError: No completion comes back whatever is asked, or no log-probabilities do.
    """
    return await _Probe(fleet, model).run(tokens, text)


class _Probe:
    def __init__(self, fleet: Fleet, model: str) -> None:
        self._fleet = fleet
        self._model = model
        self._home = Home()

    async def run(self, tokens: list[int] | None, text: str) -> Capabilities:
        token_prompts = tokens is not None and await self._takes({"prompt": tokens})
        prompt: Prompt = tokens if token_prompts and tokens is not None else text
        if not token_prompts:
            await self._ask({"prompt": text})
        extras = await self._takes({"prompt": prompt, **EXTRAS})
        more = EXTRAS if extras else {}
        plain = await self._streamed({"prompt": prompt, **more})
        token_answers = token_prompts and all(chunk.tokens is not None for chunk in plain)
        by_number = extras and token_prompts and await self._tells_by_number(prompt)
        return Capabilities(
            extras=extras,
            token_prompts=token_prompts,
            token_answers=token_answers and any(chunk.tokens for chunk in plain),
            stops=await self._shows_stops(prompt, more, "".join(chunk.text for chunk in plain)),
            by_number=by_number,
            top=await self._top(prompt),
        )

    async def _ask(self, body: Mapping[str, Any]) -> Chunk:
        whole = {"model": self._model, "max_tokens": 2, "temperature": 0.0, **body}
        return await self._fleet.ask(self._home, lambda server: server.completion(whole), ATTEMPTS)

    async def _takes(self, body: Mapping[str, Any]) -> bool:
        try:
            await self._ask(body)
        except (BackendError, ContextLengthError):
            return False
        return True

    async def _streamed(self, body: Mapping[str, Any]) -> list[Chunk]:
        whole = {"model": self._model, "max_tokens": 2, "temperature": 0.0, **body}

        async def read(server: Server) -> list[Chunk]:
            return [chunk async for chunk in server.completions(whole)]

        return await self._fleet.ask(self._home, read, ATTEMPTS)

    async def _shows_stops(self, prompt: Prompt, more: Mapping[str, Any], text: str) -> bool:
        stop = next((character for character in text if not character.isspace()), None)
        if stop is None:
            return False
        chunks = await self._streamed({"prompt": prompt, "stop": [stop], **more})
        return "".join(chunk.text for chunk in chunks) == text[: text.index(stop) + 1]

    async def _tells_by_number(self, prompt: Prompt) -> bool:
        asked = [5, 6, 7]
        body = {
            "prompt": prompt,
            "max_tokens": 1,
            "temperature": 1.0,
            "logprobs": 1,
            "logprob_token_ids": asked,
        }
        try:
            chunk = await self._ask({**body, "return_tokens_as_token_ids": True})
        except BackendError:
            return False
        return {shown.token for shown in chunk.shown} >= set(asked)

    async def _top(self, prompt: Prompt) -> int:
        for top in TOPS:
            body = {"prompt": prompt, "max_tokens": 1, "temperature": 1.0, "logprobs": top}
            try:
                shown = (await self._ask(body)).shown
            except BackendError:
                continue
            if len(shown) >= min(top, 2):
                return min(top, len(shown)) if len(shown) < USUAL_TOP else top
        raise BackendError(
            "the server shows no log-probabilities, which verdicts are read from: start it so that it does"
        )
