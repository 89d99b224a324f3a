"""A policy behind a chat API, spoken to over HTTP on loopback."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

pytest.importorskip("openai")

from genprm_sdk.agents import (
    AgentError,
    AgentFinished,
    ChatPolicy,
    CutOffError,
    PolicyRetried,
    PolicyWrote,
    PrefilledChatPolicy,
    RefinementAgent,
    open_policy,
)
from genprm_sdk.errors import BackendError, ContextLengthError, InputError

from .scripted import PROBLEM, RIGHT, Marking

pytestmark = pytest.mark.anyio
Handler = Callable[[str, dict[str, Any]], tuple[int, Any]]


def streamed(*texts: str, finish: str | None = "stop", usage: bool = True) -> list[dict[str, Any]]:
    def chunk(delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}

    chunks = [*(chunk({"content": text}) for text in texts), chunk({}, finish)]
    if usage:
        counts = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        chunks.append({**chunk({}), "choices": [], "usage": counts})
    return chunks


class Cut(list[dict[str, Any]]):
    """Chunks behind which the connection breaks."""


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            path = head.split(" ")[1]
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
            body = json.loads(await reader.readexactly(length)) if length else {}
            status, answer = handler(path, body)
            if isinstance(answer, list):
                kind = "text/event-stream"
                text = "".join(f"data: {json.dumps(each)}\n\n" for each in answer)
                text += "" if isinstance(answer, Cut) else "data: [DONE]\n\n"
            elif isinstance(answer, str):
                kind, text = "text/html", answer
            else:
                kind, text = "application/json", json.dumps(answer)
            data = text.encode()
            length = len(data) + isinstance(answer, Cut)
            start = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
            writer.write(f"{start}Connection: close\r\nretry-after-ms: 1\r\n\r\n".encode() + data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.close()
        await server.wait_closed()


async def test_a_chat_is_answered_streamed_and_counted() -> None:
    asked: list[dict[str, Any]] = []

    def handler(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        asked.append({"path": path, **body})
        return 200, streamed("Step 1: ", "x.")

    shown: list[str] = []
    async with serving(handler) as url, ChatPolicy("m", url=url, extra={"top_k": 20}, top_p=0.8) as policy:
        reply = await policy(
            [{"role": "user", "content": "hi"}], seed=2**40 + 5, max_tokens=9, show=shown.append
        )
    assert (reply.text, reply.finish, reply.prompt_tokens, reply.generated_tokens) == (
        "Step 1: x.",
        "end",
        7,
        3,
    )
    assert shown == ["Step 1: ", "x."]
    (request,) = asked
    assert request["path"] == "/v1/chat/completions"
    assert request["messages"] == [{"role": "user", "content": "hi"}]
    assert (request["seed"], request["max_tokens"], request["top_k"], request["top_p"]) == (5, 9, 20, 0.8)
    assert (request["model"], request["temperature"]) == ("m", 0.7)


async def test_a_prefix_is_the_assistants_beginning() -> None:
    asked: list[dict[str, Any]] = []

    def handler(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        asked.append(body)
        return 200, streamed("rest", usage=False)

    async with serving(handler) as url, PrefilledChatPolicy("m", url=url) as policy:
        reply = await policy.continue_from([{"role": "user", "content": "hi"}], "Step 1", stop=["\n\n"])
    assert (reply.text, reply.finish, reply.generated_tokens) == ("rest", "stop", None)
    assert asked[0]["messages"][-1] == {"role": "assistant", "content": "Step 1"}
    assert asked[0]["continue_final_message"] is True
    assert asked[0]["stop"] == ["\n\n"]


async def test_an_api_that_cannot_continue_says_what_to_leave_out() -> None:
    def handler(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return 400, {"error": {"message": "Unrecognized request argument: continue_final_message"}}

    async with serving(handler) as url, PrefilledChatPolicy("m", url=url) as policy:
        with pytest.raises(BackendError, match=r"continue_final_message.*leave out prefill"):
            await policy.continue_from([{"role": "user", "content": "hi"}], "Step 1")


async def test_a_name_that_is_not_served_is_said_in_one_line() -> None:
    def handler(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}

    async with serving(handler) as url, open_policy(url, model="nobody") as policy:
        with pytest.raises(AgentError, match=r"failed on nobody: .*does not exist") as caught:
            await RefinementAgent(policy, Marking()).solve(PROBLEM)
    assert "\n" not in str(caught.value)
    assert caught.value.trajectory.attempts == ()


async def test_an_address_where_nothing_is_is_named_at_once() -> None:
    async with serving(lambda path, body: (200, {})) as url:
        pass
    started = time.monotonic()
    with pytest.raises(BackendError, match=rf"{url} cannot be reached .*check the address"):
        async with open_policy(url):
            pass
    assert time.monotonic() - started < 3
    async with open_policy(url, model="m") as policy:
        policy._client.max_retries = 0  # type: ignore[attr-defined]
        with pytest.raises(AgentError, match=rf"failed on m: {url} cannot be reached .*check the address"):
            await RefinementAgent(policy, Marking()).solve(PROBLEM)


async def test_an_api_that_lists_nothing_is_named() -> None:
    async with serving(lambda path, body: (404, {"error": {"message": "no such path"}})) as url:
        with pytest.raises(BackendError, match=rf"{url} does not say what it serves: .*no such path"):
            async with open_policy(url):
                pass


@pytest.mark.parametrize(
    "answer",
    [
        "<html>welcome</html>",
        {"object": "chat.completion", "choices": [{"index": 0, "message": {"content": RIGHT}}]},
        [],
    ],
)
async def test_an_answer_without_a_stream_is_no_empty_answer(answer: Any) -> None:
    async with serving(lambda path, body: (200, answer)) as url, ChatPolicy("m", url=url) as policy:
        with pytest.raises(AgentError, match="answered without a stream of chat completions: check"):
            await RefinementAgent(policy, Marking()).solve(PROBLEM)


async def test_an_empty_message_is_the_attempts_fault_and_costs_a_turn() -> None:
    answers = iter([streamed(), streamed(" "), streamed(RIGHT)])

    def handler(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return 200, next(answers)

    async with serving(handler) as url, ChatPolicy("m", url=url) as policy:
        trajectory = await RefinementAgent(policy, Marking(), turns=2).solve(PROBLEM)
    faults = [attempt.fault and attempt.fault.kind for attempt in trajectory.attempts]
    assert faults == ["empty", "empty", None]
    assert (trajectory.answer, trajectory.stopped, len(trajectory.turns)) == ("4", "verified", 3)


async def test_a_failing_api_is_asked_again_and_then_surfaces_with_the_trajectory() -> None:
    count = 0

    def handler(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        nonlocal count
        count += 1
        return (200, streamed(RIGHT)) if count == 2 else (503, {"error": {"message": "overloaded"}})

    async with serving(handler) as url, ChatPolicy("m", url=url, retries=1) as policy:
        agent = RefinementAgent(policy, Marking())
        trajectory = await agent.solve(PROBLEM)
        assert (trajectory.answer, count) == ("4", 2)
        assert (trajectory.spent.policy_tokens, trajectory.spent.estimated) == (3, False)
        with pytest.raises(AgentError, match="overloaded") as caught:
            await agent.solve(PROBLEM)
    assert isinstance(caught.value.__cause__, BackendError)
    assert caught.value.trajectory.stopped == "error"


async def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    answers = iter([Cut(streamed("Step 1: wr", finish=None, usage=False)), streamed(RIGHT)])

    def handler(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return 200, next(answers)

    async with serving(handler) as url, ChatPolicy("m", url=url) as policy:
        events = [event async for event in RefinementAgent(policy, Marking()).stream(PROBLEM)]
    kinds = [type(event) for event in events if isinstance(event, PolicyWrote | PolicyRetried)]
    assert kinds == [PolicyWrote, PolicyRetried, PolicyWrote]
    assert isinstance(events[-1], AgentFinished)
    assert events[-1].trajectory.answer == "4"
    assert events[-1].trajectory.attempts[0].text == RIGHT


async def test_an_answer_that_always_breaks_off_surfaces_with_the_trajectory() -> None:
    count = 0

    def handler(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        nonlocal count
        count += 1
        return 200, Cut(streamed("Step 1", finish=None, usage=False))

    async with serving(handler) as url, ChatPolicy("m", url=url, retries=0) as policy:
        with pytest.raises(CutOffError, match="broke off its answer"):
            await policy([{"role": "user", "content": "hi"}])
        with pytest.raises(AgentError, match="broke off its answer") as caught:
            await RefinementAgent(policy, Marking(), tries=2).solve(PROBLEM)
    assert count == 3
    assert caught.value.trajectory.stopped == "error"


async def test_a_chat_that_is_too_long_is_the_attempts_fault() -> None:
    def handler(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return 400, {"error": {"message": "maximum context length is 10 tokens"}}

    async with serving(handler) as url, ChatPolicy("m", url=url) as policy:
        with pytest.raises(ContextLengthError, match="context length"):
            await policy([{"role": "user", "content": "hi"}])
        trajectory = await RefinementAgent(policy, Marking(), turns=0).solve(PROBLEM)
    fault = trajectory.attempts[0].fault
    assert fault is not None
    assert fault.kind == "context"


@pytest.mark.parametrize("names", [["only"], ["one", "two"], []])
async def test_the_only_model_of_an_address_needs_no_name(names: list[str]) -> None:
    def handler(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        listed = [{"id": name, "object": "model", "created": 1, "owned_by": "x"} for name in names]
        return 200, {"object": "list", "data": listed}

    async with serving(handler) as url:
        if len(names) == 1:
            async with open_policy(url) as policy:
                assert getattr(policy, "name", None) == "only"
            return
        with pytest.raises(InputError, match="name one as model"):
            async with open_policy(url):
                pass


@pytest.mark.parametrize(
    "answer",
    [
        "<html>Welcome to nginx</html>",
        "[" * 100_000,
        "[1]",
        "null",
        {"data": ["m"]},
        {"data": {"id": "m"}},
        {"data": [{"id": 5}]},
        {"data": None},
        {},
    ],
)
async def test_what_is_no_list_of_models_asks_for_a_name(answer: Any) -> None:
    async with serving(lambda path, body: (200, answer)) as url:
        with pytest.raises(InputError, match="does not tell which models it serves: name one as model"):
            async with open_policy(url):
                pass


SECRET = "sk-very-secret-5309"


@pytest.mark.parametrize("key", [f"{SECRET}\0x", f"{SECRET}\r\nX-Evil: 1", f"{SECRET}…"])
@pytest.mark.parametrize("variable", ["GENPRM_POLICY_API_KEY", "OPENAI_API_KEY"])
async def test_a_key_that_no_header_holds_is_refused_unseen(
    monkeypatch: pytest.MonkeyPatch, key: str, variable: str
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv(variable, f"{SECRET}…")
    for given in (key, None):
        with pytest.raises(InputError, match="no header can hold") as caught:
            ChatPolicy("m", api_key=given)
        assert SECRET not in str(caught.value)


async def test_a_key_that_was_read_from_a_file_is_sent_without_its_newline() -> None:
    def handler(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return 200, streamed("yes")

    async with serving(handler) as url, ChatPolicy("m", url=url, api_key=f"{SECRET}\n") as policy:
        assert policy._client.api_key == SECRET
        assert (await policy([{"role": "user", "content": "hi"}])).text == "yes"


async def test_an_empty_key_is_not_replaced_by_openai_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "openai's")
    with pytest.raises(InputError, match="cannot be used"):
        ChatPolicy("m", url="http://127.0.0.1:9/v1", api_key=" ")


@pytest.mark.parametrize(
    "url",
    ["http://u:SECRET@127.0.0.1:9/v1", "http://127.0.0.1:9/v1?key=SECRET", "http://[u:SECRET@127.0.0.1:9"],
)
async def test_errors_show_no_secret_of_an_address(url: str) -> None:
    async with ChatPolicy("m", url=url, retries=0) as policy:
        with pytest.raises(BackendError, match=r"http://127\.0\.0\.1:9\S* cannot be reached") as caught:
            await policy([{"role": "user", "content": "hi"}])
        with pytest.raises(BackendError, match="cannot be reached") as listing:
            await policy.served()
    assert "SECRET" not in f"{caught.value} {listing.value}"


@pytest.mark.parametrize("url", ["http://u:SECRET@h\x01", f"http://SECRET{'a' * 70_000}"])
async def test_an_address_that_no_request_can_go_to(url: str) -> None:
    with pytest.raises(InputError, match="address cannot be read") as caught:
        ChatPolicy("m", url=url)
    assert "SECRET" not in str(caught.value)


async def test_a_key_is_needed_where_there_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError, match="cannot be used"):
        ChatPolicy("m")


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        (None, "openai's"),
        ("https://api.openai.com/v1/", "openai's"),
        ("http://gateway/v1", "openai's"),
        ("http://127.0.0.1:1/v1", "none"),
        ("https://api.openai.com.example/v1", "none"),
    ],
)
async def test_openai_s_key_goes_to_openai_alone(
    monkeypatch: pytest.MonkeyPatch, url: str | None, sent: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "openai's")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://gateway/v1")
    async with ChatPolicy("m", url=url) as policy:
        assert policy._client.api_key == sent
    monkeypatch.setenv("GENPRM_POLICY_API_KEY", "ours")
    async with ChatPolicy("m", url=url) as policy:
        assert policy._client.api_key == "ours"
    async with ChatPolicy("m", url=url, api_key="given") as policy:
        assert policy._client.api_key == "given"
