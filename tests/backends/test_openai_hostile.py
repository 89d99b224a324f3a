"""The client of OpenAI-compatible servers against servers that are broken or mean harm, and odd settings."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import stamina

from genprm_sdk import InputError, Sampling, rendering
from genprm_sdk.backends.openai import OpenAIBackend
from genprm_sdk.errors import BackendError, ModelFileError
from genprm_sdk.prompt import content
from genprm_sdk.remote.server import address_of

from .bundled import MODEL
from .fake_server import Answer, Upstream, serving
from .llama_server import llama_server

pytestmark = pytest.mark.anyio

GREEDY = Sampling(temperature=0)
TEMPLATE = "{% for message in messages %}[{{ message.role }}]{{ message.content }}{% endfor %}"
TOPS = [{"token": text, "logprob": -1.0} for text in ("a", "b")]
ENDED: dict[str, Any] = {"choices": [{"text": "", "finish_reason": "stop"}]}
KEY = "sk-very-secret-5309"

Events = Callable[[], AsyncGenerator[dict[str, Any] | bytes, None]]


async def probe_answered() -> AsyncGenerator[dict[str, Any] | bytes, None]:
    yield {"choices": [{"text": "ok"}]}
    yield ENDED


class Scripted:
    """A server of text alone that does what its tests say.

    Attributes:
        answers: What is answered on a path, in place of the usual.
        events: What is streamed when more than the two tokens of a probe are asked for.
        probed: What is streamed otherwise.
        sent: Events sent from there.
        seen: Every request's path, body and headers.
    """

    def __init__(
        self,
        answers: Mapping[str, Answer] | None = None,
        events: Events | None = None,
        probed: Events | None = None,
    ) -> None:
        self.answers = dict(answers or {})
        self.events = events
        self.probed = probed or probe_answered
        self.sent = 0
        self.seen: list[tuple[str, Any, Mapping[str, str]]] = []

    async def __call__(self, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        self.seen.append((path, body, headers))
        if path in self.answers:
            return self.answers[path]
        if path == "/v1/models":
            return Answer(body={"data": [{"id": "m"}]})
        if path == "/props":
            return Answer(body={"chat_template": TEMPLATE})
        if path != "/v1/completions":
            return Answer(404, {"error": "no such path"})
        if not body.get("stream"):
            logprobs = {"content": [{"top_logprobs": TOPS}]}
            return Answer(body={"choices": [{"text": "a", "finish_reason": "length", "logprobs": logprobs}]})
        if "stream" in self.answers:
            return self.answers["stream"]
        return Answer(events=self.probed() if body["max_tokens"] == 2 else self._counted())

    async def _counted(self) -> AsyncGenerator[dict[str, Any] | bytes, None]:
        assert self.events is not None
        async for event in self.events():
            self.sent += 1
            yield event


def endless(event: dict[str, Any] | bytes, pause: float = 0.0) -> Events:
    async def events() -> AsyncGenerator[dict[str, Any] | bytes, None]:
        while True:
            yield event
            await asyncio.sleep(pause)

    return events


def part(text: str, **more: Any) -> dict[str, Any]:
    return {"choices": [{"text": text, **more}]}


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    """Retries that do not wait."""
    with stamina.set_testing(True, attempts=8, cap=True):
        yield


async def connected(handler: Scripted, **options: Any) -> None:
    async with serving(handler) as address:
        await (await OpenAIBackend.connect(address, **{"attempts": 2, **options})).close()


async def generated(handler: Scripted, most: int, **options: Any) -> tuple[str, int, str]:
    async with (
        serving(handler) as address,
        await OpenAIBackend.connect(address, **{"attempts": 2, **options}) as backend,
    ):
        sequence = await backend.open([content("1 + 1 =")])
        got = await sequence.generate(["\n"], most, GREEDY)
        return got.text, got.tokens, got.finish


@pytest.mark.parametrize("more", [{}, {"token_ids": []}])
async def test_more_characters_than_tokens_can_have_are_not_taken(more: dict[str, Any]) -> None:
    handler = Scripted(events=endless(part("x" * 100_000, **more)))
    with pytest.raises(BackendError, match="far more than it was asked for"):
        await generated(handler, 100)
    assert handler.sent < 50


async def test_text_without_its_tokens_counts() -> None:
    handler = Scripted(events=endless(part("x", token_ids=[])))
    assert await generated(handler, 7) == ("x" * 7, 7, "length")


async def test_text_behind_tokens_that_had_none_is_not_counted_twice() -> None:
    async def events() -> AsyncGenerator[dict[str, Any] | bytes, None]:
        yield part("", token_ids=[5, 6])
        yield part("é", token_ids=[])
        yield ENDED

    assert await generated(Scripted(events=events), 7) == ("é", 2, "end")


@pytest.mark.parametrize("event", [b": ping\n\n", part(""), part("", token_ids=[])])
async def test_what_says_nothing_does_not_renew_patience(event: dict[str, Any] | bytes) -> None:
    started = time.monotonic()
    with pytest.raises(BackendError, match="writes no text"):
        await generated(Scripted(events=endless(event, 0.02)), 7, patience=0.3)
    assert time.monotonic() - started < 5


async def test_a_flood_that_says_nothing_ends() -> None:
    with pytest.raises(BackendError, match="far more than it was asked for"):
        await generated(Scripted(events=endless(part(""))), 1)


async def test_a_slow_writer_is_waited_for() -> None:
    async def events() -> AsyncGenerator[dict[str, Any] | bytes, None]:
        for _ in range(6):
            await asyncio.sleep(0.1)
            yield part("x")
        yield ENDED

    assert await generated(Scripted(events=events), 9, patience=0.4) == ("xxxxxx", 6, "end")


async def test_a_probe_s_answer_ends_too() -> None:
    with pytest.raises(BackendError, match="far more than it was asked for"):
        await connected(Scripted(probed=endless(part("x" * 1000))))


@pytest.mark.parametrize("status", [201, 204])
async def test_a_stream_that_is_none_is_an_answer_cut_short(status: int) -> None:
    answer = Answer(status, b"" if status == 204 else {"choices": [{"text": "x"}]})
    with pytest.raises(BackendError, match="cut its answer short"):
        await connected(Scripted({"stream": answer}))


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999999",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "soon",
    ],
)
async def test_a_retry_after_that_is_no_time_is_passed_over(date: str) -> None:
    busy = Answer(503, {"error": {"message": "later"}}, headers={"Retry-After": date})
    with pytest.raises(BackendError, match="answered 503: later"):
        await connected(Scripted({"/v1/models": busy}))


async def root_of(root: str) -> None:
    await connected(Scripted({"/v1/models": Answer(body={"data": [{"id": "m", "root": root}]})}))


async def test_a_root_too_long_for_a_path_is_passed_over() -> None:
    await root_of("a" * 5000)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is locked for root")
async def test_a_root_in_a_folder_of_somebody_else_is_passed_over(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(0)
    try:
        await root_of(str(locked / "models" / "x"))
        with pytest.raises(InputError, match=r"no tokenizer can be had.*PermissionError"):
            await connected(Scripted(), tokenizer=locked / "models")
    finally:
        locked.chmod(0o700)


async def test_halves_of_characters_are_replaced() -> None:
    handler = Scripted(
        {
            "/v1/models": Answer(body={"data": [{"id": "m\ud800"}]}),
            "/props": Answer(body={"chat_template": "\udfff" + TEMPLATE}),
        }
    )
    async with serving(handler) as address, await OpenAIBackend.connect(address) as backend:
        assert (backend.name, backend.frame.opening) == ("m?", "?[system]")
    await connected(Scripted(), template="\ud800" + TEMPLATE)


async def test_whole_characters_that_are_escaped_stay() -> None:
    async with (
        serving(Scripted({"/v1/models": Answer(body={"data": [{"id": "m😀"}]})})) as address,
        await OpenAIBackend.connect(address) as backend,
    ):
        assert backend.name == "m😀"


async def test_a_server_s_template_is_rendered_within_limits_and_off_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rendering, "SECONDS", 1.0)
    loop = "{% for i in range(1000) %}"
    template = 3 * loop + 3 * "{% endfor %}" + TEMPLATE
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.05)
            beats += 1

    beating = asyncio.create_task(beat())
    with pytest.raises(ModelFileError, match="takes more than 1 seconds"):
        await connected(Scripted({"/props": Answer(body={"chat_template": template})}))
    beating.cancel()
    assert beats > 5


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with llama_server(MODEL, 2048) as address:
        yield address


@pytest.fixture
async def counted(server: str) -> AsyncIterator[tuple[list[str], str]]:
    asked: list[str] = []
    upstream = Upstream(server)

    async def handler(path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        asked.append(path)
        return await upstream(path, body, headers)

    async with serving(handler) as address:
        yield asked, address


async def test_texts_like_tags_cost_no_request_each(counted: tuple[list[str], str]) -> None:
    asked, address = counted
    async with await OpenAIBackend.connect(address) as backend:
        asked.clear()
        sequence = await backend.open([content(" ".join(f"<t{number}>" for number in range(300)))])
        assert asked == ["/tokenize"]
        assert sequence.tokens > 300


class Tagged(Scripted):
    """A server whose tokenizer knows ``<think>`` in plain text; other tokens are characters."""

    THINK = 7

    async def __call__(self, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        if path != "/tokenize":
            return await super().__call__(path, body, headers)
        self.seen.append((path, body, headers))
        first, *others = body["content"].split("<think>")
        tokens = [self._token(each) for each in first]
        for other in others:
            tokens += [{"id": self.THINK, "piece": "<think>"}, *map(self._token, other)]
        return Answer(body={"tokens": tokens})

    def _token(self, character: str) -> dict[str, Any]:
        return {"id": ord(character), "piece": character}


async def test_a_tag_that_is_a_token_is_cut_wherever_it_stands() -> None:
    handler = Tagged()
    text = "a <think> b </think> <think><think>" + "<other>" * 100
    async with serving(handler) as address, await OpenAIBackend.connect(address) as backend:
        handler.seen.clear()
        sequence = await backend.open([content(text)])
        script = sequence._idle
        assert script.prompt == [ord(character) for character in text]
        assert len(handler.seen) < 8


async def test_a_tokenizer_that_finds_what_is_not_there_is_refused() -> None:
    lying = Answer(body={"tokens": [{"id": 7, "piece": "<think>"}]})
    with pytest.raises(BackendError, match="finds a token in a text that does not hold it"):
        await connected(Scripted({"/tokenize": lying}))


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}\r\n"])
async def test_a_key_that_was_read_from_a_file_is_sent_without_its_newline(key: str) -> None:
    handler = Scripted()
    await connected(handler, api_key=key)
    assert {headers["authorization"] for _, _, headers in handler.seen} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("key", [f"{KEY}\0x", f"{KEY}\r\nX-Evil: 1", f"{KEY}…", f"{KEY}\ud800"])
async def test_a_key_that_no_header_holds_is_refused_unseen(key: str) -> None:
    handler = Scripted()
    with pytest.raises(InputError, match="no header can hold") as caught:
        await connected(handler, api_key=key)
    assert KEY not in str(caught.value)
    assert not handler.seen


async def test_such_a_key_of_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENPRM_API_KEY", f"{KEY}…")
    with pytest.raises(InputError, match="no header can hold"):
        await connected(Scripted())


async def test_a_key_of_spaces_is_none() -> None:
    handler = Scripted()
    await connected(handler, api_key=" \n")
    assert not any("authorization" in headers for _, _, headers in handler.seen)


@pytest.mark.parametrize(
    "url",
    [
        "http://u:SECRET@h:99999/",
        "http://u:SECRET@h:1/",
        "ftp://u:SECRET@h",
        "u:SECRET@h:80",
        "http://[u:SECRET@h",
        "http://u:SE/SECRET@h",
        "http://u:SECRET",
        "http://h?key=SECRET",
        "ftp://h?key=SECRET",
        "http://h/#SECRET",
    ],
)
def test_an_address_is_refused_without_what_may_be_secret(url: str) -> None:
    with pytest.raises(InputError, match="address") as caught:
        address_of(url)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://h\x01", f"http://h{'a' * 70_000}", "http://\ud800"])
def test_addresses_that_no_request_can_go_to(url: str) -> None:
    with pytest.raises(InputError, match="address cannot be read"):
        address_of(url)
