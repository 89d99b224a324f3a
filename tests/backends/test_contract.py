"""What every backend promises, on the bundled model: the same tests for all of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from genprm_sdk import ClosedError, ContextLengthError, InputError, Sampling, Verifier
from genprm_sdk.backends import Backend, OpenSequence
from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.backends.openai import OpenAIBackend
from genprm_sdk.backends.replay import RecordingBackend
from genprm_sdk.errors import BackendError
from genprm_sdk.prompt import Segment, content, control
from genprm_sdk.wording import REVIEW_SYSTEM, analysis_opening

from .bundled import MODEL, bundled_folder
from .llama_server import llama_server

pytestmark = pytest.mark.anyio

CONTEXT = 1024
STEP = "Let's calculate A = (3 + 4 * 2) = (3 + 8) = 12."
GREEDY = Sampling(temperature=0)
HOT = Sampling(temperature=2.0, top_k=0, top_p=1.0, seed=5)
LOG_TOLERANCE = 0.05
"""Of log-probabilities between engines: llama.cpp computes with 8-bit activations, torch does not."""

Load = Callable[[Path, str], Awaitable[Backend]]


async def _exact(folder: Path, server: str) -> Backend:
    return await LlamaCppBackend.load(MODEL, context=CONTEXT, capacity=6, threads=1, exact=True)


async def _shared(folder: Path, server: str) -> Backend:
    return await LlamaCppBackend.load(MODEL, context=CONTEXT, capacity=6, threads=1)


async def _transformers(folder: Path, server: str) -> Backend:
    from genprm_sdk.backends.transformers import TransformersBackend

    return await TransformersBackend.load(bundled_folder(), context=CONTEXT, capacity=6)


async def _server(folder: Path, server: str) -> Backend:
    return await OpenAIBackend.connect(server)


async def _server_with_tokenizer(folder: Path, server: str) -> Backend:
    return await OpenAIBackend.connect(server, tokenizer=bundled_folder())


async def _recording(folder: Path, server: str) -> Backend:
    return RecordingBackend(await _exact(folder, server), folder / "recording.jsonl")


LOADS: dict[str, Load] = {
    "llama.cpp exact": _exact,
    "llama.cpp": _shared,
    "transformers": _transformers,
    "server": _server,
    "server with tokenizer": _server_with_tokenizer,
    "recording": _recording,
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with llama_server(MODEL, CONTEXT) as address:
        yield address


@pytest.fixture(params=list(LOADS))
async def backend(request: pytest.FixtureRequest, tmp_path: Path, server: str) -> AsyncIterator[Backend]:
    async with await LOADS[request.param](tmp_path, server) as loaded:
        yield loaded


def prompt_of(backend: Backend, step: str = STEP) -> list[Segment]:
    frame = backend.frame
    return [control(frame.opening), content(REVIEW_SYSTEM), control(frame.system_to_user), content(step)]


async def opened(backend: Backend, step: str = STEP) -> OpenSequence:
    sequence = await backend.open(prompt_of(backend, step))
    await sequence.append([control(backend.frame.generation), content(analysis_opening(0))])
    return sequence


async def log_odds(sequence: OpenSequence, *texts: str) -> list[float]:
    return [math.log(probability) for probability in await sequence.probabilities(texts)]


async def test_what_it_says_of_itself(backend: Backend) -> None:
    assert backend.name
    assert backend.context == CONTEXT
    assert backend.capacity >= 4
    assert backend.frame.generation.startswith("<|im_end|>")
    assert backend.metadata["genprm.history"] == "steps"


async def test_probabilities_agree_with_llama_cpp(backend: Backend, tmp_path: Path, server: str) -> None:
    texts = ["Let", "The", "To", " the", "{Yes}", "1"]
    reference = await _exact(tmp_path, server)
    async with reference:
        expected = await (await opened(reference)).probabilities(texts)
    found = await (await opened(backend)).probabilities(texts)
    likely = [at for at, probability in enumerate(expected) if probability > 1e-3]
    assert likely
    for at in likely:
        assert math.log(found[at]) == pytest.approx(math.log(expected[at]), abs=LOG_TOLERANCE)
    assert found == pytest.approx(expected, abs=0.02)


async def test_every_engine_writes_the_same_greedily(backend: Backend, tmp_path: Path, server: str) -> None:
    async with await _exact(tmp_path, server) as reference:
        expected = await (await opened(reference)).generate(["</analyze>"], 200, GREEDY)
    found = await (await opened(backend)).generate(["</analyze>"], 200, GREEDY)
    assert (found.text, found.finish, found.stop) == (expected.text, "stop", "</analyze>")


async def test_the_same_seed_draws_the_same_and_others_something_else(backend: Backend) -> None:
    base = await opened(backend)
    texts = []
    for seed in (1, 1, 2, 3, 4):
        fork = await base.fork()
        sampling = Sampling(temperature=3, top_k=0, top_p=1, seed=seed)
        texts.append((await fork.generate([], 40, sampling)).text)
        await fork.close()
    assert texts[0] == texts[1]
    assert len(set(texts)) > 2


async def test_a_fork_continues_as_a_sequence_of_its_own(backend: Backend) -> None:
    alone = await opened(backend)
    expected = await alone.generate([], 30, GREEDY)
    base = await opened(backend)
    fork, neighbour = await base.fork(), await base.fork()
    await neighbour.append([content(" Now for something else.")])
    await neighbour.generate([], 10, Sampling(seed=5))
    assert await fork.generate([], 30, GREEDY) == expected
    assert (fork.tokens, base.tokens < fork.tokens) == (alone.tokens, True)


async def test_the_original_is_untouched_by_its_forks(backend: Backend) -> None:
    base = await opened(backend)
    tokens, before = base.tokens, await base.probabilities(["Let", "The"])
    fork = await base.fork()
    await fork.append([content(" something else entirely")])
    await fork.generate([], 20, GREEDY)
    await fork.close()
    assert base.tokens == tokens
    assert await base.probabilities(["Let", "The"]) == pytest.approx(before, rel=0.1, abs=1e-6)


async def test_probabilities_leave_the_sequence_as_it_was(backend: Backend) -> None:
    with_reading, without = await opened(backend), await opened(backend)
    for _ in range(2):
        await with_reading.probabilities(["{Yes}", "{No}", "quite a long one"])
    assert with_reading.tokens == without.tokens
    assert await with_reading.generate([], 30, GREEDY) == await without.generate([], 30, GREEDY)


async def test_a_label_of_several_tokens_is_the_product_along_them(backend: Backend) -> None:
    sequence = await opened(backend)
    await sequence.append([content("x = 1\n**Judgement**: $\\boxed")])
    whole = (await sequence.probabilities(["{No}", "{Yes}"]))[0]
    product = 1.0
    for piece in ("{", "No", "}"):
        product *= (await sequence.probabilities([piece]))[0]
        assert await sequence.append([content(piece)]) == 1
    assert whole == pytest.approx(product, rel=0.1)
    assert whole > 1e-6


async def test_a_stop_ends_the_text_and_the_sequence_there(backend: Backend) -> None:
    base = await opened(backend)
    free = await (await base.fork()).generate([], 30, GREEDY)
    for stop in sorted({free.text[at : at + 2] for at in range(0, 16, 5)}):
        fork = await base.fork()
        got = await fork.generate(["never written", stop], 30, GREEDY)
        assert (got.finish, got.stop) == ("stop", stop)
        assert got.text == free.text[: free.text.index(stop) + len(stop)]
        assert base.tokens < fork.tokens <= base.tokens + len(got.text)
        assert sum(await fork.probabilities([" the", "."])) < 1


async def test_generating_on_after_a_stop_is_generating_at_once(backend: Backend) -> None:
    base = await opened(backend)
    whole = await (await base.fork()).generate([], 60, GREEDY)
    fork = await base.fork()
    text = ""
    while len(text) < len(whole.text):
        text += (await fork.generate(["\n", "."], 60, GREEDY)).text
    assert text.startswith(whole.text)


async def test_a_budget_ends_the_text(backend: Backend) -> None:
    sequence = await opened(backend)
    before = sequence.tokens
    got = await sequence.generate([], 5, GREEDY)
    assert (got.finish, got.stop, got.tokens, sequence.tokens - before) == ("length", None, 5, 5)


async def test_generation_ends_where_the_context_does(backend: Backend) -> None:
    sequence = await opened(backend)
    await sequence.append([content("1 + 1 = 2. " * 88)])
    left = CONTEXT - sequence.tokens
    assert 0 < left < 200
    got = await sequence.generate([], 5000, Sampling(temperature=0.5, seed=3))
    while got.finish != "length" and sequence.tokens < CONTEXT:
        await sequence.append([content(" 1")])
        got = await sequence.generate([], 5000, Sampling(temperature=0.5, seed=3))
    assert sequence.tokens == CONTEXT
    assert (await sequence.generate([], 5, GREEDY)).tokens == 0


async def test_the_model_s_own_end_is_no_text(backend: Backend) -> None:
    base = await opened(backend)
    for seed in range(8):
        sequence = await base.fork()
        anything = Sampling(temperature=1000, top_k=0, top_p=1, seed=seed)
        got = await sequence.generate([], 800, anything)
        if got.finish == "end":
            break
    assert (got.finish, got.stop) == ("end", None)
    assert not any(token in got.text for token in ("<|im_start|>", "<|im_end|>", "<|endoftext|>"))
    assert base.tokens <= sequence.tokens <= base.tokens + got.tokens
    await sequence.append([control(backend.frame.generation)])
    assert (await sequence.generate([], 3, GREEDY)).tokens == 3


async def test_text_is_shown_as_it_is_written(backend: Backend) -> None:
    sequence = await opened(backend)
    shown: list[str] = []
    got = await sequence.generate(["</analyze>"], 200, GREEDY, shown.append)
    await asyncio.sleep(0)
    assert "".join(shown) == got.text
    assert len(shown) > 3


@pytest.mark.parametrize("text", ["<|im_end|>", "a<|endoftext|>", "<|im_start|>"])
async def test_content_never_becomes_a_control_token(backend: Backend, text: str) -> None:
    sequence = await opened(backend)
    assert await sequence.append([content(text)]) > 4
    assert await sequence.append([control(backend.frame.bare)]) >= 1
    one = await backend.open([control("<|im_end|>")])
    assert one.tokens == 1


async def test_what_does_not_fit_changes_nothing(backend: Backend) -> None:
    sequence = await opened(backend)
    before = sequence.tokens
    with pytest.raises(ContextLengthError, match=f"context holds {CONTEXT}"):
        await sequence.append([content("7 " * 2000)])
    assert sequence.tokens == before
    with pytest.raises(ContextLengthError):
        await backend.open(prompt_of(backend, "7 " * 2000))
    assert (await sequence.generate([], 3, GREEDY)).tokens == 3


async def test_many_at_once_write_what_one_alone_writes(backend: Backend) -> None:
    base = await opened(backend)
    expected = (await (await base.fork()).generate([], 20, GREEDY)).text
    forks = [await base.fork() for _ in range(3 * backend.capacity if backend.capacity < 10 else 20)]
    found = await asyncio.gather(*(fork.generate([], 20, GREEDY) for fork in forks))
    assert {each.text for each in found} == {expected}
    odds = await asyncio.gather(*(fork.probabilities(["Let", "."]) for fork in forks))
    assert all(each == pytest.approx(odds[0], rel=0.2, abs=0.02) for each in odds)


async def test_a_sequence_serves_one_task_at_a_time(backend: Backend) -> None:
    sequence = await opened(backend)
    task = asyncio.create_task(sequence.generate([], 40, GREEDY))
    await asyncio.sleep(0)
    with pytest.raises(BackendError, match="in use by another task"):
        await sequence.append([content("x")])
    assert (await task).tokens == 40


async def test_cancelling_leaves_the_sequence_as_it_was(backend: Backend) -> None:
    sequence, other = await opened(backend), await opened(backend)
    before = sequence.tokens
    expected = await (await other.fork()).generate([], 10, GREEDY)
    for delay in (0.0, 0.005, 0.02):
        task = asyncio.create_task(sequence.generate([], 900, HOT))
        beside = asyncio.create_task(other.probabilities(["Let"]))
        await asyncio.sleep(delay)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sequence.tokens == before
        assert len(await beside) == 1
    assert await sequence.generate([], 10, GREEDY) == expected


async def test_closing_ends_what_runs_and_refuses_what_comes(backend: Backend) -> None:
    sequence = await opened(backend)
    task = asyncio.create_task(sequence.generate([], 900, HOT))
    await asyncio.sleep(0.01)
    await backend.close()
    with pytest.raises(ClosedError):
        await task
    with pytest.raises(ClosedError):
        await backend.open(prompt_of(backend))
    with pytest.raises(ClosedError):
        await sequence.fork()
    await sequence.close()
    await backend.close()


async def test_a_closed_sequence_is_refused(backend: Backend) -> None:
    sequence = await opened(backend)
    await sequence.close()
    await sequence.close()
    with pytest.raises(ClosedError):
        await sequence.fork()
    with pytest.raises(ClosedError):
        await sequence.generate([], 5, GREEDY)


async def test_bad_arguments(backend: Backend) -> None:
    sequence = await opened(backend)
    with pytest.raises(InputError, match="max_tokens"):
        await sequence.generate([], 0, GREEDY)
    for stop in ([""], "stop"):
        with pytest.raises(InputError, match="stop"):
            await sequence.generate(stop, 5, GREEDY)
    for candidates in (["Yes", ""], [], "Yes"):
        with pytest.raises(InputError, match="candidate"):
            await sequence.probabilities(candidates)
    empty = await backend.open([])
    with pytest.raises(InputError, match="empty"):
        await empty.generate([], 5, GREEDY)


async def test_costs_are_counted(backend: Backend) -> None:
    base = await opened(backend)
    fork = await base.fork()
    written = await fork.generate([], 12, GREEDY)
    await fork.generate([], 3, GREEDY)
    counters = backend.counters()
    assert counters.prompt == base.tokens
    assert counters.generated == written.tokens + 3
    assert counters.evaluated + counters.shared >= base.tokens
    assert fork.work.evaluated > 0
    assert base.work.evaluated == 0


async def test_a_check_runs_on_it(backend: Backend) -> None:
    async with Verifier(backend=backend, sampling=GREEDY) as verifier:
        report = await verifier.check(
            ["12 * 7 = 84", "So the answer is 84 + 3 = 88."], problem="What is 12 * 7 + 3?", samples=2
        )
    assert [step.label for step in report.steps] == ["correct", "incorrect"]
    assert report.usage.code_runs >= 2
