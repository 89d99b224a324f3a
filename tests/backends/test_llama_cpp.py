"""The llama.cpp backend on the bundled model: forks, stops, read-outs, limits, cancellation.

The model's own end of turn is switched off where a test needs a generation of a certain length.
"""

from __future__ import annotations

import asyncio
import gc
import math
import struct
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from genprm_sdk import (
    ClosedError,
    ContextLengthError,
    InputError,
    ModelFileError,
    Sampling,
    UnknownModelError,
)
from genprm_sdk.backends import Generation
from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.engine.context import Context
from genprm_sdk.engine.engine import EngineSequence
from genprm_sdk.errors import BackendError
from genprm_sdk.models import find_model
from genprm_sdk.prompt import Segment, content, control
from genprm_sdk.wording import REVIEW_SYSTEM, analysis_opening

pytestmark = pytest.mark.anyio
MODEL = find_model("genprm-mini")[1]
STEP = "Let's calculate A = (3 + 4 * 2) = (3 + 8) = 11."
GREEDY = Sampling(temperature=0)


@pytest.fixture(params=[True, False], ids=["exact", "shared"])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[LlamaCppBackend]:
    load = LlamaCppBackend.load(MODEL, context=1024, capacity=6, threads=1, exact=request.param)
    async with await load as loaded:
        loaded.engine.vocabulary.ends_turn = lambda token: False  # type: ignore[method-assign]
        yield loaded


def backend_is_exact(backend: LlamaCppBackend) -> bool:
    return backend.engine.setup.exact


def prompt_of(backend: LlamaCppBackend, step: str = STEP) -> list[Segment]:
    frame = backend.frame
    return [
        control(frame.opening),
        content(REVIEW_SYSTEM),
        control(frame.system_to_user),
        content(step),
    ]


def asking(backend: LlamaCppBackend) -> list[Segment]:
    return [control(backend.frame.generation), content(analysis_opening(0))]


async def opened(backend: LlamaCppBackend) -> EngineSequence:
    sequence = await backend.open(prompt_of(backend))
    await sequence.append(asking(backend))
    return sequence


@pytest.mark.parametrize("backend", [True], ids=["exact"], indirect=True)
async def test_the_same_seed_writes_the_same_and_another_seed_something_else(
    backend: LlamaCppBackend,
) -> None:
    base = await opened(backend)
    texts = []
    for seed in (1, 1, 2, 3, 4):
        fork = await base.fork()
        texts.append((await fork.generate([], 60, Sampling(temperature=4, top_k=0, top_p=1, seed=seed))).text)
        await fork.close()
    assert texts[0] == texts[1]
    assert len(set(texts)) > 2


async def test_a_fork_evaluates_nothing_again(backend: LlamaCppBackend) -> None:
    base = await opened(backend)
    length = base.tokens
    first = await base.fork()
    before = backend.counters()
    second = await base.fork()
    after = backend.counters()
    assert (first.tokens, second.tokens) == (length, length)
    assert after == before
    for fork in (first, second):
        await fork.generate([], 1, GREEDY)
    once = backend.counters()
    assert once.evaluated - before.evaluated == length + 1
    assert once.shared - before.shared == length - 1


async def test_a_fork_continues_exactly_as_a_sequence_of_its_own(backend: LlamaCppBackend) -> None:
    alone = await opened(backend)
    expected = await alone.generate([], 40, GREEDY)
    scores = await alone.probabilities(["a", "b"])
    await alone.close()
    base = await opened(backend)
    fork, neighbour = await base.fork(), await base.fork()
    await neighbour.generate([], 25, Sampling(seed=5))
    got = await fork.generate([], 40, GREEDY)
    assert got == expected
    assert await fork.probabilities(["a", "b"]) == scores
    assert base.tokens < fork.tokens


async def test_the_original_is_untouched_by_its_forks(backend: LlamaCppBackend) -> None:
    base = await opened(backend)
    before = await base.probabilities(["x", "y"])
    fork = await base.fork()
    await fork.append([content(" something else entirely")])
    await fork.generate([], 20, GREEDY)
    await fork.close()
    assert await base.probabilities(["x", "y"]) == pytest.approx(
        before, rel=1e-9 if backend_is_exact(backend) else 0.2
    )


async def test_probabilities_leave_the_sequence_as_it_was(backend: LlamaCppBackend) -> None:
    with_reading, without = await opened(backend), await opened(backend)
    for _ in range(3):
        await with_reading.probabilities(["{Yes}", "{No}", "Zebra quite long"])
    assert with_reading.token_ids == without.token_ids
    assert await with_reading.generate([], 30, GREEDY) == await without.generate([], 30, GREEDY)


async def test_probabilities_of_all_first_tokens_sum_to_one(backend: LlamaCppBackend) -> None:
    sequence = await opened(backend)
    vocabulary = backend.engine.vocabulary
    single = {}
    for token in range(vocabulary.size):
        piece = vocabulary.piece(token)
        text = piece.decode("utf-8", "ignore")
        if text and text.encode() == piece and vocabulary.text_tokens(text) == [token]:
            single[text] = token
    total = sum(await sequence.probabilities(list(single)))
    assert 0.9 < total <= 1 + 1e-9


async def test_a_label_of_several_tokens_is_the_product_along_them(backend: LlamaCppBackend) -> None:
    sequence = await opened(backend)
    tokens = backend.engine.vocabulary.text_tokens("{No}")
    assert len(tokens) > 1
    whole = (await sequence.probabilities(["{No}"]))[0]
    product = 1.0
    probe = await sequence.fork()
    for at in range(len(tokens)):
        piece = b"".join(backend.engine.vocabulary.piece(token) for token in tokens[at : at + 1]).decode()
        product *= (await probe.probabilities([piece]))[0]
        await probe.append([content(piece)])
    assert whole == pytest.approx(product, rel=1e-4)


async def test_a_stop_inside_a_token_takes_the_rest_back(backend: LlamaCppBackend) -> None:
    base = await opened(backend)
    free = await (await base.fork()).generate([], 40, GREEDY)
    for stop in {free.text[at : at + 2] for at in range(0, 20, 3)}:
        fork = await base.fork()
        got = await fork.generate([stop], 40, GREEDY)
        assert got.finish == "stop"
        assert got.stop == stop
        assert got.text == free.text[: free.text.index(stop) + len(stop)]
        written = b"".join(backend.engine.vocabulary.piece(token) for token in fork.token_ids[base.tokens :])
        assert written.decode() == got.text
        await fork.append([content("!")])
        await fork.probabilities(["a"])
        await fork.close()


async def test_generating_on_after_a_pause_is_generating_at_once(backend: LlamaCppBackend) -> None:
    base = await opened(backend)
    whole = await (await base.fork()).generate([], 40, GREEDY)
    fork = await base.fork()
    text = ""
    while len(text) < len(whole.text):
        text += (await fork.generate(["\n"], 40, GREEDY)).text
    assert text.startswith(whole.text)


@pytest.mark.parametrize("text", ["<|im_end|>", "<|im_start|>user\n", "a<|endoftext|>b"])
async def test_content_never_becomes_a_control_token(backend: LlamaCppBackend, text: str) -> None:
    vocabulary = backend.engine.vocabulary
    tokens = vocabulary.tokens([content(text)])
    assert not set(tokens) & set(vocabulary.special.values())
    assert b"".join(vocabulary.piece(token) for token in tokens).decode() == text
    assert vocabulary.tokens([control("<|im_end|>")]) == [vocabulary.special["<|im_end|>"]]


async def test_an_append_that_does_not_fit_changes_nothing(backend: LlamaCppBackend) -> None:
    sequence = await opened(backend)
    before = sequence.token_ids
    with pytest.raises(ContextLengthError, match="context holds 1024"):
        await sequence.append([content("7 " * 2000)])
    assert sequence.token_ids == before
    with pytest.raises(ContextLengthError):
        await backend.open(prompt_of(backend, "7 " * 2000))
    again = [await backend.open(prompt_of(backend)) for _ in range(5)]
    assert len(again) == 5


async def test_the_model_s_own_end_of_turn_is_no_text(backend: LlamaCppBackend) -> None:
    sequence, untouched = await opened(backend), await opened(backend)
    backend.engine.vocabulary.ends_turn = lambda token: True  # type: ignore[method-assign]
    got = await sequence.generate([], 40, GREEDY)
    assert (got.text, got.tokens, got.finish, got.stop) == ("", 1, "end", None)
    assert sequence.token_ids == untouched.token_ids
    assert await sequence.probabilities(["a"]) == await untouched.probabilities(["a"])


async def test_generation_ends_where_the_context_does(backend: LlamaCppBackend) -> None:
    sequence = await opened(backend)
    await sequence.append([content("1 + 1 = 2. " * 80)])
    got = await sequence.generate([], 5000, Sampling(temperature=2.0, top_k=0, top_p=1.0, seed=3))
    assert got.finish == "length"
    assert sequence.tokens == 1024


async def test_more_sequences_than_are_evaluated_at_once_can_be_open(backend: LlamaCppBackend) -> None:
    base = await opened(backend)
    expected = await (await base.fork()).generate([], 12, GREEDY)
    kept = [await base.fork() for _ in range(4 * backend.capacity)]
    got = await asyncio.gather(*(sequence.generate([], 12, GREEDY) for sequence in kept))
    assert set(got) == {expected}
    await kept[1].close()
    await kept[1].close()


async def test_a_sequence_serves_one_task_at_a_time(backend: LlamaCppBackend) -> None:
    sequence = await opened(backend)
    task = asyncio.create_task(sequence.generate([], 200, GREEDY))
    await asyncio.sleep(0)
    with pytest.raises(BackendError, match="in use by another task"):
        await sequence.append([content("x")])
    assert (await task).tokens == 200


async def test_text_is_shown_as_it_is_written(backend: LlamaCppBackend) -> None:
    sequence = await opened(backend)
    shown: list[str] = []
    got = await sequence.generate(["\n"], 60, GREEDY, shown.append)
    assert "".join(shown) == got.text
    assert len(shown) > 3


async def test_an_empty_sequence_has_nothing_to_continue(backend: LlamaCppBackend) -> None:
    sequence = await backend.open([])
    with pytest.raises(InputError, match="empty"):
        await sequence.generate([], 5, GREEDY)


async def test_a_reused_slot_knows_nothing_of_its_past(backend: LlamaCppBackend) -> None:
    fresh = await opened(backend)
    expected = await fresh.generate([], 30, GREEDY)
    await fresh.append([content("noise " * 100)])
    await fresh.generate([], 10, GREEDY)
    await fresh.close()
    again = await opened(backend)
    assert await again.generate([], 30, GREEDY) == expected


async def test_cancelling_a_generation_leaves_the_backend_usable(backend: LlamaCppBackend) -> None:
    sequence, other = await opened(backend), await opened(backend)
    task = asyncio.create_task(sequence.generate([], 900, Sampling(temperature=2.0, top_k=0, top_p=1.0)))
    waiting = asyncio.create_task(other.generate([], 900, Sampling(temperature=2.0, top_k=0, top_p=1.0)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await waiting).tokens > 0
    await sequence.close()
    base = await opened(backend)
    assert (await base.generate([], 5, GREEDY)).tokens == 5


async def test_cancelling_a_request_in_the_queue_does_not_stop_the_one_that_runs(
    backend: LlamaCppBackend,
) -> None:
    first, second = await opened(backend), await opened(backend)
    running = asyncio.create_task(first.generate([], 500, GREEDY))
    await asyncio.sleep(0)
    queued = asyncio.create_task(second.generate([], 500, GREEDY))
    await asyncio.sleep(0)
    queued.cancel()
    with pytest.raises(asyncio.CancelledError):
        await queued
    assert (await running).tokens == 500


async def test_closing_ends_what_runs_and_refuses_what_comes(backend: LlamaCppBackend) -> None:
    sequence = await opened(backend)
    task = asyncio.create_task(sequence.generate([], 900, Sampling(temperature=2.0, top_k=0, top_p=1.0)))
    await asyncio.sleep(0.01)
    await backend.close()
    with pytest.raises(ClosedError):
        await task
    with pytest.raises(ClosedError):
        await backend.open(prompt_of(backend))
    await sequence.close()


async def test_a_closed_sequence_is_refused(backend: LlamaCppBackend) -> None:
    sequence = await opened(backend)
    await sequence.close()
    with pytest.raises(ClosedError):
        await sequence.fork()


async def test_bad_arguments(backend: LlamaCppBackend) -> None:
    sequence = await opened(backend)
    with pytest.raises(InputError, match="max_tokens"):
        await sequence.generate([], 0, GREEDY)
    with pytest.raises(InputError, match="stop"):
        await sequence.generate([""], 5, GREEDY)
    with pytest.raises(InputError, match="candidate"):
        await sequence.probabilities(["Yes", ""])


async def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError):
        await LlamaCppBackend.load(tmp_path / "missing.gguf")
    text = tmp_path / "text.gguf"
    text.write_text("hello, this is certainly not a model file")
    with pytest.raises(ModelFileError, match="GGUF"):
        await LlamaCppBackend.load(text)
    whole = MODEL.read_bytes()
    for size in (3, 20, 200, 5000, len(whole) // 2, len(whole) - 100):
        torn = tmp_path / "torn.gguf"
        torn.write_bytes(whole[:size])
        with pytest.raises(ModelFileError):
            await LlamaCppBackend.load(torn)


async def test_a_vocabulary_with_an_entry_twice_is_refused_before_llama_cpp_sees_it(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="twice"):
        await LlamaCppBackend.load(_with_duplicate_token(tmp_path))


def _with_duplicate_token(folder: Path) -> Path:
    """The bundled model with one vocabulary entry replaced by a copy of another of the same length."""
    from genprm_sdk.models import read_gguf_metadata

    tokens = read_gguf_metadata(MODEL)["tokenizer.ggml.tokens"]
    assert isinstance(tokens, tuple)
    one, two = [token for token in tokens if len(token.encode()) == 9][:2]
    entry = len(one.encode()).to_bytes(8, "little") + one.encode()
    data = MODEL.read_bytes()
    assert data.count(entry) >= 1
    path = folder / "duplicate.gguf"
    path.write_bytes(data.replace(entry, len(two.encode()).to_bytes(8, "little") + two.encode(), 1))
    return path


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"capacity": 257}, "at most 256"),
        ({"exact": True, "flash_attention": True}, "goes with neither"),
        ({"exact": True, "cache_tokens": 4096}, "goes with neither"),
        ({"cache_type": "q3"}, "must be one of"),
        ({"cache_type": "q8_0", "flash_attention": False}, "needs flash_attention=True"),
        ({"context": 2048, "cache_tokens": 1024}, "does not fit into a cache"),
        ({"cache_tokens": 10**12}, "GB are free: load it with a smaller context or cache_tokens"),
    ],
)
async def test_settings_that_cannot_be(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        await LlamaCppBackend.load(MODEL, **settings)


@pytest.mark.parametrize("cache_type", ["f32", "bf16", "q8_0", "q4_0"])
async def test_a_cache_of_any_type_answers_as_one_of_f16(cache_type: str) -> None:
    found = []
    for kind in ("f16", cache_type):
        settings = {"cache_type": kind, "flash_attention": kind.startswith("q")}
        async with await LlamaCppBackend.load(MODEL, context=1024, threads=1, **settings) as backend:  # type: ignore[arg-type]
            sequence = await opened(backend)
            found.append(await sequence.probabilities(["{Yes}", "{No}"]))
            await sequence.close()
    rough = 0.5 if cache_type == "q4_0" else 0.05
    assert [math.log(p) for p in found[1]] == pytest.approx([math.log(p) for p in found[0]], abs=rough)


async def test_settings_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="capacity"):
        await LlamaCppBackend.load(MODEL, capacity=0)
    with pytest.raises(InputError, match="trained for"):
        await LlamaCppBackend.load(MODEL, context=10**9)


async def test_the_log_odds_of_a_verdict_are_finite(backend: LlamaCppBackend) -> None:
    sequence = await opened(backend)
    p_yes, p_no = await sequence.probabilities(["{Yes}", "{No}"])
    assert math.isfinite(math.log(p_yes) - math.log(p_no))


async def test_cancelling_a_load_leaves_nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    started, freed = threading.Event(), threading.Event()
    load, free = Context.__init__, Context.free

    def loading(context: Context, *arguments: Any) -> None:
        started.set()
        load(context, *arguments)

    def freeing(context: Context) -> None:
        free(context)
        freed.set()

    monkeypatch.setattr(Context, "__init__", loading)
    monkeypatch.setattr(Context, "free", freeing)
    task = asyncio.create_task(LlamaCppBackend.load(MODEL, capacity=3))
    assert await asyncio.to_thread(started.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(freed.wait, 20)


@pytest.mark.parametrize("backend", [True], ids=["exact"], indirect=True)
async def test_a_seed_writes_the_same_whatever_else_runs(backend: LlamaCppBackend) -> None:
    sampling = Sampling(temperature=1.5, top_k=0, top_p=1, seed=7)

    async def measured() -> tuple[Generation, list[float]]:
        sequence = await opened(backend)
        await sequence.generate(["."], 20, sampling)
        await sequence.append([content(" And then it was something else.")])
        fork = await sequence.fork()
        await sequence.close()
        got = await fork.generate([], 40, sampling), await fork.probabilities(["{Yes}", "{No}"])
        await fork.close()
        return got

    async def noise(seed: int) -> None:
        sequence = await backend.open(prompt_of(backend, "7 + 8 = 15. " * (1 + 5 * seed)))
        await sequence.append(asking(backend))
        await sequence.generate([], 30 + 9 * seed, Sampling(temperature=2.0, seed=seed))
        await sequence.close()

    expected = await measured()
    for _ in range(3):
        got, *_ = await asyncio.gather(measured(), *(noise(seed) for seed in range(9)))
        assert got == expected


async def test_an_engine_that_breaks_down_says_so_to_everybody(
    backend: LlamaCppBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(rows: object) -> None:
        raise RuntimeError("the memory is gone")

    sequences = [await opened(backend) for _ in range(3)]
    monkeypatch.setattr(backend.engine._context, "decode", broken)
    tasks = [asyncio.create_task(sequence.generate([], 5, GREEDY)) for sequence in sequences]
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, BackendError)
    assert "the memory is gone" in caplog.text
    with pytest.raises(ClosedError):
        await sequences[0].generate([], 5, GREEDY)


async def test_a_sequence_that_nobody_closes_is_let_go(backend: LlamaCppBackend) -> None:
    sequence = await opened(backend)
    await sequence.generate([], 5, GREEDY)
    assert backend.snapshot().open == 1
    del sequence
    gc.collect()
    assert backend.snapshot().open == 0


async def test_one_engine_serves_several_event_loops(backend: LlamaCppBackend) -> None:
    expected = await (await opened(backend)).generate([], 20, GREEDY)

    async def elsewhere() -> Generation:
        return await (await opened(backend)).generate([], 20, GREEDY)

    loops = [asyncio.to_thread(asyncio.run, elsewhere()) for _ in range(4)]
    assert set(await asyncio.gather(*loops)) == {expected}


async def test_a_call_that_is_cancelled_twice_has_ended_when_it_returns(backend: LlamaCppBackend) -> None:
    sequence = await opened(backend)
    before = sequence.token_ids
    for _ in range(10):
        with anyio.move_on_after(0.02):  # cancels again on every turn of the loop
            await sequence.generate([], 900, Sampling(temperature=2.0, top_k=0, top_p=1.0))
        assert sequence.token_ids == before
    added = await sequence.append([content(" and something else")])
    await sequence.logits()
    assert sequence.tokens == len(before) + added


async def test_a_call_that_is_cancelled_as_it_ends_leaves_the_sequence_as_it_was(
    backend: LlamaCppBackend,
) -> None:
    sequence = await opened(backend)
    before = sequence.token_ids
    task = asyncio.create_task(sequence.generate([], 3, GREEDY))
    await asyncio.sleep(0)
    generated = backend.engine._generated
    while backend.engine._generated == generated:
        time.sleep(0.001)  # noqa: ASYNC251 - the event loop must not learn that it is done
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sequence.token_ids == before
    assert (await sequence.generate([], 3, GREEDY)).tokens == 3


async def test_closing_while_a_long_text_is_tokenised(backend: LlamaCppBackend) -> None:
    sequence = await backend.open(prompt_of(backend))
    appending = asyncio.create_task(sequence.append([content("7 + 8 = 15. " * 200_000)]))
    await asyncio.sleep(0.01)
    with pytest.raises(BackendError, match="in use by another task"):
        await sequence.generate([], 5, GREEDY)
    appending.cancel()
    await backend.close()
    with pytest.raises((asyncio.CancelledError, ClosedError)):
        await appending


@pytest.mark.parametrize("backend", [True], ids=["exact"], indirect=True)
async def test_every_seed_is_a_seed(backend: LlamaCppBackend) -> None:
    base = await opened(backend)
    for seed in (-1, 2**32 - 1, 2**40):
        sampling = Sampling(temperature=4, top_k=0, top_p=1, seed=seed)
        texts = {(await (await base.fork()).generate([], 30, sampling)).text for _ in range(3)}
        assert len(texts) == 1


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("qwen2.block_count", struct.pack("<I", 0), "no layers"),
        ("qwen2.context_length", struct.pack("<I", 0), "no context"),
        ("qwen2.attention.layer_norm_rms_epsilon", struct.pack("<f", math.nan), "epsilon"),
        ("qwen2.attention.layer_norm_rms_epsilon", struct.pack("<f", -1.0), "epsilon"),
    ],
)
async def test_sizes_at_which_llama_cpp_would_end_the_process(
    tmp_path: Path, key: str, value: bytes, complaint: str
) -> None:
    data = bytearray(MODEL.read_bytes())
    at = data.index(key.encode()) + len(key) + 4
    data[at : at + len(value)] = value
    path = tmp_path / "hostile.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=complaint):
        await LlamaCppBackend.load(path)
