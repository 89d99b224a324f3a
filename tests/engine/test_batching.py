"""Who runs when: prompts beside continuations, shared beginnings, fairness, and giving way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from genprm_sdk.backends import Sampling
from genprm_sdk.engine.context import Context, Row, Setup
from genprm_sdk.engine.library import TILES
from genprm_sdk.engine.pool import Chain
from genprm_sdk.engine.requests import Generate, Request
from genprm_sdk.engine.scheduler import BESIDE, Scheduler
from genprm_sdk.errors import BackendError, InputError
from genprm_sdk.models import find_model

MODEL = find_model("genprm-mini")[1]
GREEDY = Sampling(temperature=0)


@pytest.fixture(scope="module")
def context() -> Iterator[Context]:
    loaded = Context(MODEL, Setup(cells=2048, streams=24, threads=1))
    loaded.vocabulary.ends_turn = lambda token: False  # type: ignore[method-assign]
    yield loaded
    loaded.free()


@pytest.fixture
def scheduler(context: Context) -> Scheduler:
    for stream in range(context.setup.streams):
        context.drop(stream, 0)
    return Scheduler(context, most=12)


def prompt(first: int, length: int) -> Chain:
    return Chain([first, *(30 + at % 7 for at in range(length - 1))])


def run(scheduler: Scheduler) -> list[Request]:
    done: list[Request] = []
    while not scheduler.idle:
        done += scheduler.step()
    return done


def test_a_long_prompt_does_not_stall_who_is_writing(scheduler: Scheduler) -> None:
    writing = Generate(prompt(20, 5), (), 40, GREEDY)
    scheduler.submit(writing)
    scheduler.step()
    long = Generate(prompt(21, 5 * BESIDE), (), 1, GREEDY)
    scheduler.submit(long)
    for _ in range(5):
        before = writing.drawn
        scheduler.step()
        assert writing.drawn == before + 1
    assert run(scheduler)[0] is long or long.result is not None


def test_a_short_prompt_does_not_wait_for_a_long_one(scheduler: Scheduler) -> None:
    long, short = Generate(prompt(20, 1500), (), 1, GREEDY), Generate(prompt(21, 30), (), 1, GREEDY)
    scheduler.submit(long)
    scheduler.submit(short)
    assert scheduler.step() == [short]


def test_a_beginning_that_many_share_is_evaluated_once(scheduler: Scheduler) -> None:
    requests = [Generate(prompt(22, 400), (), 4, GREEDY) for _ in range(10)]
    for request in requests[:5]:
        scheduler.submit(request)
    scheduler.step()
    for request in requests[5:]:
        scheduler.submit(request)
    run(scheduler)
    assert scheduler.totals.evaluated == 399 + 10 * 4
    assert scheduler.totals.cached == 9 * 399
    assert len({request.result for request in requests}) == 1


def test_what_came_late_uses_what_others_left(scheduler: Scheduler) -> None:
    first = Generate(prompt(23, 300), (), 10, GREEDY)
    scheduler.submit(first)
    run(scheduler)
    scheduler.release(first.chain)
    before = scheduler.totals.evaluated
    scheduler.submit(Generate(Chain([*first.chain.tokens, 25, 26]), (), 1, GREEDY))
    run(scheduler)
    assert scheduler.totals.evaluated - before == 3


def test_who_gives_way_comes_back_and_loses_nothing(context: Context) -> None:
    small = Context(MODEL, Setup(cells=300, streams=12, threads=1))
    small.vocabulary.ends_turn = lambda token: False  # type: ignore[method-assign]
    try:
        crowded = Scheduler(small, most=12)
        requests = [Generate(prompt(20 + at, 40), (), 60, GREEDY) for at in range(6)]
        for request in requests:
            crowded.submit(request)
        done = run(crowded)
        now = crowded.snapshot()
    finally:
        small.free()
    assert set(done) == set(requests)
    assert now.preempted > 0
    assert all(request.result is not None and request.result.tokens == 60 for request in requests)
    assert done[0].number < done[-1].number


def test_requests_begin_in_the_order_in_which_they_came(scheduler: Scheduler) -> None:
    requests = [Generate(prompt(20, 10), (), 3, GREEDY) for _ in range(30)]
    for request in requests:
        scheduler.submit(request)
    done = run(scheduler)
    assert [request.number for request in done] == sorted(request.number for request in requests)
    assert scheduler.snapshot().sequences == scheduler.totals.evaluations


def test_what_would_end_the_process_is_refused(context: Context) -> None:
    with pytest.raises(BackendError, match="1 to 512"):
        context.decode([])
    with pytest.raises(BackendError, match="1 to 512"):
        context.decode([Row(20, at, 0) for at in range(513)])
    with pytest.raises(BackendError, match="no stream 24"):
        context.drop(24, 0)
    with pytest.raises(BackendError, match="no stream -1"):
        context.share(-1, 0, 0, 1)
    context.drop(0, 0)
    context.decode([Row(20, 0, 0), Row(21, 1, 0, wanted=True)])
    with pytest.raises(BackendError, match="row 0 of the last batch has no logits"):
        context.logits(0)
    with pytest.raises(BackendError, match="row 2 of the last batch has no logits"):
        context.sample(None, 2)
    context.drop(0, 0)
    with pytest.raises(BackendError, match="256"):
        Context(MODEL, Setup(cells=512, streams=300, threads=1))


def with_file_type(path: Path, kind: int) -> Path:
    """A copy of the bundled model that says its weights are of another type."""
    key = b"general.file_type"
    data = bytearray(MODEL.read_bytes())
    at = data.index(key) + len(key)
    assert data[at : at + 4] == (4).to_bytes(4, "little")
    data[at + 4 : at + 8] = kind.to_bytes(4, "little")
    path.write_bytes(data)
    return path


def test_exact_results_with_weights_in_tiles_must_be_asked_for_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Setup(cells=256, streams=1, threads=1, exact=True, flash_attention=False)
    model = with_file_type(tmp_path / "k.gguf", 15)
    monkeypatch.setenv(TILES, "1")
    monkeypatch.setattr(Context, "_tiled", True)
    with pytest.raises(InputError, match="before another model runs in this process"):
        Context(model, setup)
    for decided in (None, False):
        monkeypatch.setattr(Context, "_tiled", decided)
        Context(model, setup).free()
    assert os.environ[TILES] == "0"


def test_a_long_prompt_is_not_starved_by_short_ones(scheduler: Scheduler) -> None:
    long = Generate(prompt(20, 600), (), 1, GREEDY)
    scheduler.submit(long)
    for number in range(400):
        for _ in range(8):
            scheduler.submit(Generate(prompt(21 + number % 50, 30), (), 1, GREEDY))
        scheduler.step()
        if long.result is not None:
            break
    assert long.result is not None
