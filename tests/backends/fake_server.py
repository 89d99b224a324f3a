"""HTTP servers on loopback that stand before a real llama-server: with another's dialect, or with faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2

Event = dict[str, Any]


@dataclass
class Answer:
    """An object, or events one after the other; ``close`` ends the connection behind so many of them."""

    status: int = 200
    body: Any = None
    events: AsyncGenerator[Event | bytes, None] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    close: int | None = None


Handler = Callable[[str, dict[str, Any] | None, Mapping[str, str]], Awaitable[Answer]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """The address where requests are handled; what still runs at the end is cancelled."""
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_connection(handler, reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _connection(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        try:
            await _request(handler, reader, writer)
        finally:
            writer.close()


async def _request(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    _, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    length = int(headers.get("content-length", 0))
    body = json.loads(await reader.readexactly(length)) if length else None
    working = asyncio.create_task(_respond(handler, path, body, headers, writer))
    leaving = asyncio.create_task(reader.read(1))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _respond(
    handler: Handler,
    path: str,
    body: dict[str, Any] | None,
    headers: Mapping[str, str],
    writer: asyncio.StreamWriter,
) -> None:
    answer = await handler(path, body, headers)
    if answer.close == 0:
        return
    told = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    start = f"HTTP/1.1 {answer.status} X\r\nConnection: close\r\n{told}"
    if answer.events is None:
        data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        writer.write(f"{start}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        await writer.drain()
        return
    writer.write(f"{start}Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    events = answer.events
    async with aclosing(events):
        await _send(events, answer.close, writer)


async def _send(
    events: AsyncGenerator[Event | bytes, None], close: int | None, writer: asyncio.StreamWriter
) -> None:
    sent = 0
    async for event in events:
        data = event if isinstance(event, bytes) else b"data: " + json.dumps(event).encode() + b"\n\n"
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()
        sent += 1
        if sent == close:
            return
    writer.write(b"0\r\n\r\n")
    await writer.drain()


class Upstream:
    """The real server behind."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def ask(self, path: str, body: Any = None) -> Answer:
        method = "GET" if body is None else "POST"
        async with httpx2.AsyncClient(base_url=self._address, timeout=60, verify=False) as client:
            answer = await client.request(method, path, json=body)
            return Answer(answer.status_code, answer.json())

    async def events(self, body: Any) -> AsyncGenerator[Event, None]:
        async with (
            httpx2.AsyncClient(base_url=self._address, timeout=60, verify=False) as client,
            client.stream("POST", "/v1/completions", json=body) as answer,
        ):
            buffer = b""
            async for piece in answer.aiter_bytes():
                *lines, buffer = (buffer + piece).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {"):
                        yield json.loads(line[6:])

    async def __call__(self, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        if path == "/v1/completions" and body.get("stream"):
            return Answer(events=self.events(body))
        return await self.ask(path, body)


class Vllm:
    """vLLM's dialect, as its documentation has it."""

    def __init__(self, upstream: Upstream, root: str, context: int) -> None:
        self._upstream = upstream
        self._root = root
        self._context = context
        self.bodies: list[dict[str, Any]] = []

    async def __call__(self, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        if path == "/v1/models":
            entry = {
                "id": "served-name",
                "object": "model",
                "root": self._root,
                "max_model_len": self._context,
            }
            return Answer(body={"object": "list", "data": [entry]})
        if path == "/tokenize" and "prompt" not in body:
            return Answer(400, {"error": {"message": "field required: prompt", "code": 400}})
        if path != "/v1/completions":
            return Answer(404, {"detail": "Not Found"})
        self.bodies.append(body)
        if body["model"] != "served-name":
            return Answer(404, {"error": {"message": "The model does not exist"}})
        if (body.get("logprobs") or 0) > 20:
            return Answer(400, {"error": {"message": "logprobs must not exceed 20", "code": 400}})
        if len(body["prompt"]) + body["max_tokens"] > self._context:
            return Answer(400, {"error": {"message": "maximum context length is exceeded", "code": 400}})
        if body.get("stream"):
            return Answer(events=self._events(body))
        return await self._whole(body)

    async def _whole(self, body: Any) -> Answer:
        asked = {**_plain(body), "logprobs": 1024, "stream": False}
        answer = (await self._upstream.ask("/v1/completions", asked)).body
        choice = answer["choices"][0]
        tops = choice["logprobs"]["content"][0]["top_logprobs"] if choice.get("logprobs") else []
        wanted = body.get("logprob_token_ids")
        chosen = [top for top in tops if top["id"] in wanted] if wanted else tops[: body.get("logprobs") or 0]
        by_token = {
            f"token_id:{top['id']}" if body.get("return_tokens_as_token_ids") else top["token"]: top[
                "logprob"
            ]
            for top in chosen
        }
        logprobs = {"tokens": [], "token_logprobs": [], "text_offset": [], "top_logprobs": [by_token]}
        told = {"index": 0, "text": choice["text"], "finish_reason": choice["finish_reason"]}
        return Answer(
            body={
                "choices": [{**told, "stop_reason": None, "logprobs": logprobs}],
                "usage": {"prompt_tokens": len(body["prompt"])},
            }
        )

    async def _events(self, body: Any) -> AsyncGenerator[Event | bytes, None]:
        text, stops = "", body.get("stop") or []
        async with aclosing(self._upstream.events({**_plain(body), "verbose": True})) as events:
            async for event in events:
                told = event["choices"][0]
                tokens = event["__verbose"]["tokens"]
                text += told["text"]
                ends = [(text.find(stop) + len(stop), stop) for stop in stops if stop in text]
                choice = {**told, "token_ids": tokens, "stop_reason": None, "logprobs": None}
                if ends:
                    beyond = len(text) - min(ends)[0]
                    piece = told["text"][: len(told["text"]) - beyond]
                    stopped = {"text": piece, "finish_reason": "stop", "stop_reason": min(ends)[1]}
                    yield {"choices": [{**choice, **stopped}]}
                    break
                if tokens or told["finish_reason"]:
                    yield {"choices": [choice]}
        details = {"cached_tokens": 0}
        yield {"choices": [], "usage": {"prompt_tokens": 1, "prompt_tokens_details": details}}


class Sglang(Vllm):
    """SGLang's dialect, as its documentation has it: texts alone come back, and stop strings if asked for."""

    async def _whole(self, body: Any) -> Answer:
        wanted = {key: value for key, value in body.items() if key != "logprob_token_ids"}
        answer = (await super()._whole({**wanted, "return_tokens_as_token_ids": False})).body
        return Answer(body={**answer, "choices": [{**answer["choices"][0], "matched_stop": None}]})

    async def _events(self, body: Any) -> AsyncGenerator[Event | bytes, None]:
        stops = body.get("stop") or []
        async with aclosing(super()._events(body)) as events:
            async for event in events:
                assert isinstance(event, dict)
                choices = [
                    {"index": 0, "text": each["text"], "finish_reason": each["finish_reason"]}
                    | {"matched_stop": each["stop_reason"]}
                    for each in event["choices"]
                ]
                matched = choices[0]["matched_stop"] if choices else None
                if matched in stops and not body.get("no_stop_trim"):
                    choices[0]["text"] = choices[0]["text"].removesuffix(matched)
                yield {**event, "choices": choices}


def _plain(body: Any) -> dict[str, Any]:
    """A request without what only the fake understands; it ends at stop strings itself."""
    known = ("prompt", "max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "stream")
    return {key: value for key, value in body.items() if key in known}


class TextOnly:
    """A strict server of OpenAI's own parameters: text prompts, five log-probabilities, stops cut off."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def __call__(self, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        if path == "/v1/models":
            return Answer(body={"data": [{"id": "legacy"}]})
        if path != "/v1/completions":
            return Answer(404, {"error": {"message": "unknown URL"}})
        known = {*_plain(body), "model", "logprobs", "stop", "stream_options"} - {"top_k", "min_p"}
        if not isinstance(body["prompt"], str) or set(body) - known or (body.get("logprobs") or 0) > 5:
            return Answer(400, {"error": {"message": "unsupported parameter"}})
        asked = {**_plain(body), "stop": body.get("stop"), "top_k": 0, "min_p": 0}
        if body.get("stream"):
            return Answer(events=self._events(asked))
        answer = (
            await self._upstream.ask("/v1/completions", {**asked, "logprobs": body.get("logprobs")})
        ).body
        choice = answer["choices"][0]
        tops = choice["logprobs"]["content"][0]["top_logprobs"] if choice.get("logprobs") else []
        told = {"text": choice["text"], "finish_reason": choice["finish_reason"]}
        by_text = {top["token"]: top["logprob"] for top in tops}
        return Answer(body={"choices": [{**told, "logprobs": {"top_logprobs": [by_text]}}]})

    async def _events(self, body: Any) -> AsyncGenerator[Event | bytes, None]:
        async with aclosing(self._upstream.events(body)) as events:
            async for event in events:
                choice = event["choices"][0]
                yield {"choices": [{"text": choice["text"], "finish_reason": choice["finish_reason"]}]}


class Faulty:
    """Faults, one for each completion that is asked for, then none.

    Attributes:
        faults: What is wrong with the next completions.
        asked: How many completions were asked for.
        running: How many run.
        most_before_first: Most that ran before the first one had sent anything.
        begun: Set when one stalls.
        gone: Set when the client has left one.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.faults: list[str | None] = []
        self.asked = 0
        self.running = 0
        self.most_before_first = 0
        self._sent = False
        self.headers: Mapping[str, str] = {}
        self.begun, self.gone = asyncio.Event(), asyncio.Event()

    async def __call__(self, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        self.headers = headers
        if path != "/v1/completions":
            return await self._upstream(path, body, headers)
        self.asked += 1
        fault = self.faults.pop(0) if self.faults else None
        answer = self._answer(fault)
        if answer is not None:
            return answer
        if not body.get("stream"):
            return await self._upstream(path, body, headers)
        events = self._watched(self._upstream.events(body), fault)
        return Answer(events=events, close=3 if fault == "cut" else None)

    def _answer(self, fault: str | None) -> Answer | None:
        return {
            "busy": Answer(429, {"error": {"message": "slow down"}}, headers={"Retry-After": "0.4"}),
            "broken": Answer(500, {"error": {"message": "out of memory"}}),
            "silent": Answer(close=0),
            "not json": Answer(200, b"<html>nginx</html>"),
            "forbidden": Answer(401, {"error": {"message": "bad key"}}),
        }.get(fault or "")

    async def _watched(
        self, events: AsyncGenerator[Event, None], fault: str | None
    ) -> AsyncGenerator[Event | bytes, None]:
        self.running += 1
        if not self._sent:
            self.most_before_first = max(self.most_before_first, self.running)
        try:
            number = 0
            async for event in events:
                if number == 3 and fault == "stall":
                    self.begun.set()
                    await asyncio.sleep(3600)
                if number == 3 and fault == "garbage":
                    yield b"data: {oops\n\n"
                if number == 3 and fault == "error":
                    yield b'data: {"error": {"message": "the slot is gone"}}\n\n'
                if number == 3 and fault == "ended":
                    return
                if number == 3 and fault == "two":
                    yield {"choices": [event["choices"][0]] * 2}
                self._sent = True
                yield event
                number += 1
            if fault == "more":
                yield {"choices": [{"text": " and more", "token_ids": [5, 6, 7], "finish_reason": None}]}
        except asyncio.CancelledError:
            self.gone.set()
            raise
        finally:
            self.running -= 1
            await events.aclose()
