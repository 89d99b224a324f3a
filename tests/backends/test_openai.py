"""The client of OpenAI-compatible servers: dialects, faults, several servers, secrets."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import stamina

from genprm_sdk import InputError, Sampling, Verifier
from genprm_sdk.backends.openai import OpenAIBackend, RemoteSequence
from genprm_sdk.errors import BackendError, ClosedError, ContextLengthError
from genprm_sdk.prompt import content, control
from genprm_sdk.remote.server import address_of
from genprm_sdk.wording import REVIEW_SYSTEM, analysis_opening

from .bundled import MODEL, bundled_folder
from .fake_server import Answer, Faulty, Sglang, TextOnly, Upstream, Vllm, serving
from .llama_server import llama_server

pytestmark = pytest.mark.anyio

CONTEXT = 2048
GREEDY = Sampling(temperature=0)
STEP = "Let's calculate A = (3 + 4 * 2) = (3 + 8) = 12."
SOLUTION = ["12 * 7 = 84", "So the answer is 84 + 3 = 88."]
PROBLEM = "What is 12 * 7 + 3?"
KEY = "sk-very-secret-5309"
CHAT = "{% for message in messages %}[{{ message.role }}]{{ message.content }}{% endfor %}"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with llama_server(MODEL, CONTEXT) as address:
        yield address


@pytest.fixture
def at_once() -> Iterator[None]:
    """Retries that do not wait."""
    with stamina.set_testing(True, attempts=8, cap=True):
        yield


@pytest.fixture
async def faulty(server: str) -> AsyncIterator[tuple[Faulty, str]]:
    handler = Faulty(Upstream(server))
    async with serving(handler) as address:
        yield handler, address


async def opened(backend: OpenAIBackend, step: str = STEP) -> RemoteSequence:
    frame = backend.frame
    sequence = await backend.open(
        [control(frame.opening), content(REVIEW_SYSTEM), control(frame.system_to_user), content(step)]
    )
    await sequence.append([control(frame.generation), content(analysis_opening(0))])
    return sequence


async def written(address: str, **options: Any) -> tuple[str, int, int]:
    async with await OpenAIBackend.connect(address, **options) as backend:
        sequence = await opened(backend)
        got = await sequence.generate(["</analyze>"], 200, GREEDY)
        return got.text, got.tokens, sequence.tokens


async def labels(backend: OpenAIBackend) -> list[str]:
    async with Verifier(backend=backend, sampling=GREEDY) as verifier:
        report = await verifier.check(SOLUTION, problem=PROBLEM, samples=2)
        return [step.label for step in report.steps]


async def test_what_llama_server_can_do(server: str) -> None:
    async with await OpenAIBackend.connect(server) as backend:
        found = backend.capabilities
    assert (found.extras, found.token_prompts, found.token_answers) == (True, True, True)
    assert (found.stops, found.by_number, found.top) == (False, False, 1000)


async def test_vllm_s_dialect(server: str) -> None:
    handler = Vllm(Upstream(server), str(bundled_folder()), CONTEXT)
    async with serving(handler) as address:
        async with await OpenAIBackend.connect(address) as backend:
            found = backend.capabilities
            assert (found.token_prompts, found.token_answers, found.stops, found.by_number) == (True,) * 4
            assert found.top == 20
            assert backend.context == CONTEXT
            sequence = await opened(backend)
            probabilities = await sequence.probabilities(["{Yes}", "Let", "The"])
        assert handler.bodies[-1]["logprob_token_ids"]
        assert await written(address) == await written(server)
    async with await OpenAIBackend.connect(server) as direct:
        expected = await (await opened(direct)).probabilities(["{Yes}", "Let", "The"])
    assert probabilities == pytest.approx(expected, rel=0.2, abs=1e-4)


async def test_sglang_s_dialect(server: str) -> None:
    handler = Sglang(Upstream(server), str(bundled_folder()), CONTEXT)
    async with serving(handler) as address:
        async with await OpenAIBackend.connect(address) as backend:
            found = backend.capabilities
            assert (found.token_prompts, found.token_answers, found.stops) == (True, False, True)
            assert (found.by_number, found.top) == (False, 20)
            backend.metadata = {"genprm.prompt_style": "chat", "genprm.history": "steps"}
            assert await labels(backend) == ["correct", "incorrect"]
        text, _, length = await written(address)
    assert (text, length) == (await written(server))[::2]


async def test_a_check_in_vllm_s_dialect(server: str) -> None:
    handler = Vllm(Upstream(server), str(bundled_folder()), CONTEXT)
    async with serving(handler) as address:
        backend = await OpenAIBackend.connect(address)
        async with backend:
            backend.metadata = {"genprm.prompt_style": "chat", "genprm.history": "steps"}
            assert await labels(backend) == ["correct", "incorrect"]
    assert all(isinstance(body["prompt"], list) for body in handler.bodies)
    assert any("```" in stop for body in handler.bodies for stop in body.get("stop", []))


async def test_a_server_of_text_alone(server: str) -> None:
    async with serving(TextOnly(Upstream(server))) as address:
        with pytest.raises(InputError, match="neither its chat template"):
            await OpenAIBackend.connect(address)
        async with await OpenAIBackend.connect(address, tokenizer=bundled_folder()) as backend:
            found = backend.capabilities
            assert (found.extras, found.token_prompts, found.stops, found.top) == (False, False, False, 5)
            sequence = await opened(backend)
            text = (await sequence.generate(["</analyze>"], 200, GREEDY)).text
            assert text.endswith("</analyze>")
            with pytest.raises(InputError, match="im_end"):
                await sequence.append([content("a <|im_"), content("end|> b")])
            await sequence.append([content("\n<output>\n**Judgement**: $\\boxed")])
            p_yes, p_no = await sequence.probabilities(["{Yes}", "{No}"])
            assert 0.9 < p_yes + p_no <= 1.0001
            backend.metadata = {"genprm.prompt_style": "chat", "genprm.history": "steps"}
            assert await labels(backend) == ["correct", "incorrect"]
        assert text == (await written(server))[0]


@pytest.mark.parametrize(
    "fault", ["cut", "broken", "busy", "silent", "not json", "garbage", "error", "ended", "two", "more"]
)
@pytest.mark.usefixtures("at_once")
async def test_a_fault_loses_nothing_and_doubles_nothing(
    faulty: tuple[Faulty, str], server: str, fault: str
) -> None:
    handler, address = faulty
    expected = await written(server)
    async with await OpenAIBackend.connect(address) as backend:
        sequence = await opened(backend)
        before = handler.asked
        handler.faults = [fault, fault]
        shown: list[str] = []
        got = await sequence.generate(["</analyze>"], 200, GREEDY, shown.append)
        assert handler.asked - before == (1 if fault == "more" else 3)
        assert (got.text, got.tokens, sequence.tokens) == expected
        assert "".join(shown) == got.text
        handler.faults = [] if fault in ("cut", "garbage", "error", "ended", "two", "more") else [fault]
        assert len(await sequence.probabilities(["a"])) == 1


@pytest.mark.usefixtures("at_once")
async def test_more_than_asked_for_is_not_taken(faulty: tuple[Faulty, str]) -> None:
    handler, address = faulty
    async with await OpenAIBackend.connect(address) as backend:
        sequence = await opened(backend)
        before = sequence.tokens
        handler.faults = ["more"]
        got = await sequence.generate([], 7, GREEDY)
        assert (got.tokens, sequence.tokens - before, got.finish) == (7, 7, "length")


@pytest.mark.usefixtures("at_once")
async def test_a_fault_that_stays_is_one_error_and_leaves_the_sequence(faulty: tuple[Faulty, str]) -> None:
    handler, address = faulty
    async with await OpenAIBackend.connect(address, attempts=3) as backend:
        sequence = await opened(backend)
        before = sequence.tokens
        handler.faults = ["broken"] * 3
        with pytest.raises(BackendError, match=r"answered 500: out of memory \(tried 3 times\)"):
            await sequence.generate([], 10, GREEDY)
        assert sequence.tokens == before
        assert (await sequence.generate([], 10, GREEDY)).tokens == 10


@pytest.mark.usefixtures("at_once")
async def test_a_server_that_stalls_is_given_up_and_asked_again(
    faulty: tuple[Faulty, str], server: str
) -> None:
    handler, address = faulty
    async with await OpenAIBackend.connect(address, patience=0.5) as backend:
        sequence = await opened(backend)
        handler.faults = ["stall"]
        got = await sequence.generate(["</analyze>"], 200, GREEDY)
        assert (got.text, got.tokens, sequence.tokens) == await written(server)
        await asyncio.wait_for(handler.gone.wait(), 5)


async def test_cancelling_ends_the_request_at_the_server(faulty: tuple[Faulty, str]) -> None:
    handler, address = faulty
    async with await OpenAIBackend.connect(address) as backend:
        sequence = await opened(backend)
        handler.faults = ["stall"]
        task = asyncio.create_task(sequence.generate([], 200, GREEDY))
        await asyncio.wait_for(handler.begun.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(handler.gone.wait(), 5)
        assert handler.running == 0


async def test_retry_after_is_honoured(faulty: tuple[Faulty, str]) -> None:
    handler, address = faulty
    async with await OpenAIBackend.connect(address) as backend:
        sequence = await opened(backend)
        handler.faults = ["busy"]
        started = time.monotonic()
        await sequence.generate([], 3, GREEDY)
        assert time.monotonic() - started >= 0.4


async def test_the_first_of_many_forks_goes_alone(faulty: tuple[Faulty, str]) -> None:
    handler, address = faulty
    async with await OpenAIBackend.connect(address) as backend:
        handler._sent, handler.most_before_first = False, 0
        base = await opened(backend)
        forks = [await base.fork() for _ in range(6)]
        await asyncio.gather(*(fork.generate([], 12, GREEDY) for fork in forks))
        assert handler.most_before_first == 1


async def test_an_error_at_the_first_of_many_forks_lets_the_others_go(faulty: tuple[Faulty, str]) -> None:
    handler, address = faulty
    async with await OpenAIBackend.connect(address) as backend:
        base = await opened(backend)
        forks = [await base.fork() for _ in range(4)]
        handler.faults = ["forbidden"]
        results = await asyncio.gather(
            *(fork.generate([], 5, GREEDY) for fork in forks), return_exceptions=True
        )
    assert isinstance(results[0], BackendError)
    assert [each.tokens for each in results[1:] if not isinstance(each, BaseException)] == [5, 5, 5]


async def test_a_key_is_sent_and_never_shown(
    faulty: tuple[Faulty, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    handler, address = faulty
    monkeypatch.setenv("GENPRM_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    async with await OpenAIBackend.connect(address) as backend:
        assert handler.headers["authorization"] == f"Bearer {KEY}"
        sequence = await opened(backend)
        handler.faults = ["forbidden"]
        with pytest.raises(BackendError, match="GENPRM_API_KEY") as caught:
            await sequence.generate([], 3, GREEDY)
        said = f"{backend!r} {backend._fleet.servers!r} {vars(backend)!r} {caught.value!r} {caplog.text}"
    assert KEY not in said


@pytest.mark.usefixtures("at_once")
async def test_a_check_stays_with_one_server_and_the_next_goes_to_the_other(server: str) -> None:
    handlers = [Faulty(Upstream(server)) for _ in range(2)]
    async with serving(handlers[0]) as first, serving(handlers[1]) as second:
        async with await OpenAIBackend.connect([first, second]) as backend:
            base = [handler.asked for handler in handlers]
            one = await opened(backend, "1 + 1 = 2.")
            other = await opened(backend, "1 + 1 = 3.")
            for sequence in (one, other):
                forks = [await sequence.fork() for _ in range(3)]
                await asyncio.gather(*(fork.generate([], 4, GREEDY) for fork in forks))
            again = await opened(backend, "1 + 1 = 2.")
            await again.generate([], 4, GREEDY)
            asked = sorted(handler.asked - before for handler, before in zip(handlers, base, strict=True))
            assert asked == [3, 4]


@pytest.mark.usefixtures("at_once")
async def test_a_dead_server_is_left_and_what_it_had_goes_on_elsewhere(server: str) -> None:
    handlers = [Faulty(Upstream(server)) for _ in range(2)]
    expected = await written(server)
    async with serving(handlers[1]) as second:
        async with serving(handlers[0]) as first:
            backend = await OpenAIBackend.connect(f"{first},{second}", attempts=4)
            async with backend:
                sequence = await opened(backend)
                await (await sequence.fork()).generate([], 2, GREEDY)
                home = sequence._lineage._home
                assert home is not None
                assert home.server is not None
                mine = 0 if home.server.server.address == first else 1
                handlers[mine].faults = ["cut", "broken", "broken"]
                other = handlers[1 - mine].asked
                got = await sequence.generate(["</analyze>"], 200, GREEDY)
                assert (got.text, got.tokens, sequence.tokens) == expected
                assert handlers[1 - mine].asked == other + 1
                assert handlers[mine].faults == ["broken", "broken"]


@pytest.mark.usefixtures("at_once")
async def test_a_server_that_is_not_there(server: str) -> None:
    async with serving(Faulty(Upstream(server))) as gone:
        pass
    with pytest.raises(BackendError, match="cannot be reached"):
        await OpenAIBackend.connect(gone, attempts=2)
    async with await OpenAIBackend.connect([gone, server]) as backend:
        assert await labels(backend) == ["correct", "incorrect"]


async def test_servers_of_which_none_was_ever_there_are_asked_once() -> None:
    async def silent(path: str, body: object, headers: object) -> Answer:
        return Answer(200, {})

    async with serving(silent) as first, serving(silent) as second:
        pass
    started = time.monotonic()
    with pytest.raises(BackendError, match=rf"{first} cannot be reached: .*check the address") as refused:
        await OpenAIBackend.connect(first)
    assert "tried" not in str(refused.value)
    with pytest.raises(BackendError, match="cannot be reached"):
        await OpenAIBackend.connect([first, second])
    assert time.monotonic() - started < 10


async def test_what_is_no_completions_server() -> None:
    async def refusing(path: str, body: object, headers: object) -> Answer:
        return Answer(401, {"error": {"message": "no key"}})

    async def empty(path: str, body: object, headers: object) -> Answer:
        return Answer(404, {"detail": "Not Found"})

    async def models_alone(path: str, body: object, headers: object) -> Answer:
        return (
            Answer(body={"data": [{"id": "chat"}]})
            if path == "/v1/models"
            else await empty(path, body, headers)
        )

    for handler, complaint in (
        (refusing, "refuses the request"),
        (empty, "does not tell which model it serves"),
        (models_alone, "answered 404 for /v1/completions"),
    ):
        async with serving(handler) as address:
            with pytest.raises((BackendError, InputError), match=complaint):
                await OpenAIBackend.connect(address, template=CHAT)


async def test_closing_ends_requests(faulty: tuple[Faulty, str]) -> None:
    handler, address = faulty
    backend = await OpenAIBackend.connect(address)
    sequence = await opened(backend)
    handler.faults = ["stall"]
    task = asyncio.create_task(sequence.generate([], 200, GREEDY))
    await asyncio.wait_for(handler.begun.wait(), 5)
    await backend.close()
    with pytest.raises(ClosedError):
        await task
    await asyncio.wait_for(handler.gone.wait(), 5)


async def test_no_prompt_is_sent_that_does_not_fit(server: str) -> None:
    async with await OpenAIBackend.connect(server, context=256) as backend:
        assert backend.context == 256
        with pytest.raises(ContextLengthError, match="context holds 256"):
            await opened(backend, "7 " * 400)
    with pytest.raises(InputError, match="the server holds 2048 at most"):
        await OpenAIBackend.connect(server, context=10**6)


async def test_names_and_settings_that_cannot_be(server: str) -> None:
    with pytest.raises(InputError, match="does not serve 'other'"):
        await OpenAIBackend.connect(server, model="other")
    with pytest.raises(InputError, match="no tokenizer can be had"):
        await OpenAIBackend.connect(server, tokenizer="/no/such/folder")
    for settings in ({"capacity": 0}, {"attempts": 0}, {"context": 0}, {"patience": 0}):
        with pytest.raises(InputError, match=next(iter(settings))):
            await OpenAIBackend.connect(server, **settings)
    with pytest.raises(InputError, match="address"):
        await OpenAIBackend.connect([])


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://host",
        "http://",
        "http://user:pass@host",
        "http://host?x=1",
        "http://host:99999",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(InputError, match="address") as caught:
        address_of(url)
    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://host:80/v1", "http://host:80/v1/", "http://host:80", " http://host:80/ "]
)
def test_addresses(url: str) -> None:
    assert address_of(url) == "http://host:80"


def test_a_retry_prints_nothing_where_no_logging_is_set_up() -> None:
    program = (
        "import logging, genprm_sdk.remote.fleet; logging.getLogger('stamina').warning('retry_scheduled')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
