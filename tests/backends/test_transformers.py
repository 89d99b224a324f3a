"""The transformers backend on the bundled model: rows beside each other, memory, and which folders it loads.

What all backends promise is tested in ``test_contract.py``. The model's own end of turn is switched off where
a test needs a generation of a certain length.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import shutil
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from genprm_sdk import (
    ClosedError,
    GenPRMError,
    InputError,
    ModelFileError,
    Sampling,
    UnknownModelError,
    Verifier,
)
from genprm_sdk.backends import Generation, Work
from genprm_sdk.backends import transformers as backend_module
from genprm_sdk.backends.transformers import TransformersBackend
from genprm_sdk.errors import BackendError
from genprm_sdk.prompt import Segment, content
from genprm_sdk.torch_engine import loading
from genprm_sdk.torch_engine.engine import EngineSequence
from genprm_sdk.torch_engine.runner import Runner
from genprm_sdk.torch_engine.scheduler import AT_ONCE, BESIDE, Scheduler
from genprm_sdk.torch_engine.slab import Slab
from genprm_sdk.torch_engine.tree import Node

from .bundled import bundled_folder

pytestmark = pytest.mark.anyio

GREEDY = Sampling(temperature=0)
HOT = Sampling(temperature=2.0, top_k=0, top_p=1.0, seed=5)
TOLERANCE = 1e-4
"""Of log-probabilities, between what runs alone and what runs beside others."""


@pytest.fixture
async def backend() -> AsyncIterator[TransformersBackend]:
    async with await TransformersBackend.load(
        bundled_folder(), context=1024, capacity=6, threads=1
    ) as loaded:
        loaded.engine.vocabulary.ends_turn = lambda token: False  # type: ignore[method-assign]
        yield loaded


def scheduler_of(backend: TransformersBackend) -> Scheduler:
    scheduler = backend.engine._scheduler
    assert scheduler is not None
    return scheduler


def text_of(length: int, first: int = 1) -> list[Segment]:
    return [content(" ".join(f"{first + at} + {at % 7} = {first + at + at % 7}." for at in range(length)))]


def log_probabilities(model: Any, tokens: Sequence[int]) -> Tensor:
    """Of every next token, with one plain call of the model."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([list(tokens)])).logits[0, -1]
    result: Tensor = logits.double().log_softmax(-1)
    return result


# ------------------------------------------------------------------ rows beside each other


async def test_rows_of_different_lengths_get_what_they_get_alone(backend: TransformersBackend) -> None:
    model = AutoModelForCausalLM.from_pretrained(bundled_folder(), dtype=torch.float32)
    lengths = (1, 40, 7, 60, 15, 16)

    async def continued(length: int) -> tuple[Generation, tuple[int, ...], list[float]]:
        sequence = await backend.open(text_of(length, first=length))
        written = await sequence.generate([], 10 + length, HOT)
        await sequence.append([content(" So the answer is")])
        return written, sequence.token_ids, await sequence.probabilities(["1", "2", "{Yes}", "the"])

    alone = [await continued(length) for length in lengths]
    together = await asyncio.gather(*(continued(length) for length in lengths))
    for one, other in zip(alone, together, strict=True):
        assert one[:2] == other[:2]
        for mine, theirs in zip(one[2], other[2], strict=True):
            assert math.log(mine) == pytest.approx(math.log(theirs), abs=TOLERANCE)
    vocabulary = backend.engine.vocabulary
    for _, tokens, probabilities in together:
        expected = log_probabilities(model, tokens)
        for text, found in zip(("1", "2"), probabilities, strict=False):
            first, *others = vocabulary.text_tokens(text)
            assert not others
            assert math.log(found) == pytest.approx(float(expected[first]), abs=TOLERANCE)


async def test_what_is_drawn_greedily_is_the_likeliest_of_a_plain_call(backend: TransformersBackend) -> None:
    model = AutoModelForCausalLM.from_pretrained(bundled_folder(), dtype=torch.float32)
    sequences = [await backend.open(text_of(3 + 11 * number)) for number in range(4)]
    begins = [sequence.tokens for sequence in sequences]
    await asyncio.gather(*(sequence.generate([], 12, GREEDY) for sequence in sequences))
    for sequence, begin in zip(sequences, begins, strict=True):
        for at in range(begin, sequence.tokens):
            expected = log_probabilities(model, sequence.token_ids[:at])
            drawn = sequence.token_ids[at]
            assert float(expected[drawn]) == pytest.approx(float(expected.max()), abs=TOLERANCE)


async def test_a_shared_beginning_is_evaluated_once(backend: TransformersBackend) -> None:
    base = await backend.open(text_of(40))
    forks = [await base.fork() for _ in range(4)]
    again = await backend.open(text_of(40))
    await asyncio.gather(*(sequence.generate([], 5, HOT) for sequence in (*forks, again)))
    length = base.tokens
    counters = backend.counters()
    assert counters.evaluated == length - 1 + 5 * 5
    assert counters.shared == 4 * (length - 1)
    total = Work()
    for sequence in (*forks, again):
        total.add(sequence.work)
    assert (total.evaluated, total.cached) == (counters.evaluated, counters.shared)
    await forks[0].append([content(" and so on")])
    before = backend.counters()
    await forks[0].generate([], 1, GREEDY)
    assert backend.counters().evaluated - before.evaluated <= forks[0].tokens - length - 4
    assert backend.counters().shared == before.shared


async def test_sequences_that_part_in_the_middle_share_what_is_before(backend: TransformersBackend) -> None:
    one = await backend.open(text_of(30))
    await one.generate([], 20, GREEDY)
    other = await backend.open([*text_of(15), content(" And now something else.")])
    expected = await other.probabilities(["1", "2"])
    assert 0 < other.work.cached < other.tokens - 1
    assert other.work.cached + other.work.evaluated == other.tokens
    await one.close()
    alone = await backend.open([*text_of(15), content(" And now something else.")])
    await other.close()
    assert await alone.probabilities(["1", "2"]) == pytest.approx(expected, rel=TOLERANCE)


async def test_a_tree_of_labels_is_read_like_each_label_alone(backend: TransformersBackend) -> None:
    sequence = await backend.open(text_of(4))
    labels = ["{Yes}", "{No}", "{", "{Yes} it is", "Zebra quite long", "{No}"]
    alone = [(await sequence.probabilities([label]))[0] for label in labels]
    writer = asyncio.create_task((await backend.open(text_of(9))).generate([], 60, HOT))
    together = await sequence.probabilities(labels)
    assert not writer.done()
    await writer
    for one, other in zip(alone, together, strict=True):
        assert math.log(one) == pytest.approx(math.log(other), abs=TOLERANCE)


# ------------------------------------------------------------------ who waits for whom


async def test_newcomers_do_not_wait_for_what_runs(backend: TransformersBackend) -> None:
    long = await backend.open(text_of(5))
    running = asyncio.create_task(long.generate([], 800, HOT))
    for number in range(5):
        newcomer = await backend.open(text_of(3 + number, first=50))
        assert (await newcomer.generate([], 4, GREEDY)).tokens == 4
        assert len(await newcomer.probabilities(["1", "2"])) == 2
        assert not running.done()
        assert newcomer.work.companions > newcomer.work.evaluations
    running.cancel()


async def test_a_long_text_is_read_in_pieces_beside_who_writes() -> None:
    async with await TransformersBackend.load(bundled_folder(), context=4096, threads=1) as backend:
        backend.engine.vocabulary.ends_turn = lambda token: False  # type: ignore[method-assign]
        alone = await backend.open(text_of(200))
        assert AT_ONCE < alone.tokens < 4096
        expected = await alone.probabilities(["1"])
        assert alone.work.evaluations == 3
        await alone.close()
        await until(lambda: scheduler_of(backend).held == 0)
        writer = await backend.open(text_of(3))
        running = asyncio.create_task(writer.generate([], 200, HOT))
        await until(lambda: bool(scheduler_of(backend)._rows))
        long = await backend.open(text_of(200))
        assert await long.probabilities(["1"]) == pytest.approx(expected, rel=TOLERANCE)
        assert long.work.evaluations == math.ceil((long.tokens - 1) / BESIDE) + 1
        running.cancel()


async def test_more_than_the_capacity_at_once(backend: TransformersBackend) -> None:
    sequences = [await backend.open(text_of(2 + number)) for number in range(3 * backend.capacity)]
    alone = [await (await sequence.fork()).generate([], 8, HOT) for sequence in sequences]
    peak = 0

    def watch(text: str) -> None:
        nonlocal peak
        peak = max(peak, len(scheduler_of(backend)._rows))

    together = await asyncio.gather(*(sequence.generate([], 8, HOT, watch) for sequence in sequences))
    assert together == alone
    assert 1 < peak <= backend.capacity


async def test_rows_that_outgrow_the_memory_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "ROW_BYTES", 0)  # room for one row of the whole context
    async with await TransformersBackend.load(bundled_folder(), context=512, threads=1) as backend:
        backend.engine.vocabulary.ends_turn = lambda token: False  # type: ignore[method-assign]
        sequences = [await backend.open(text_of(2 + number)) for number in range(4)]
        labels = ["{Yes}", "{No}", "Zebra"]
        alone = [await (await sequence.fork()).generate([], 130, HOT) for sequence in sequences]
        read = await (await sequences[0].fork()).probabilities(labels)
        gave_way = 0
        give_way = Scheduler._give_way

        def counting(scheduler: Scheduler) -> None:
            nonlocal gave_way
            gave_way += 1
            give_way(scheduler)

        sizes: list[int] = []
        step = Runner.step

        def measuring(runner: Runner, slab: Slab, tokens: Sequence[int], lengths: list[int]) -> Tensor:
            sizes.append(slab._rows * slab._columns)
            return step(runner, slab, tokens, lengths)

        monkeypatch.setattr(Runner, "step", measuring)
        monkeypatch.setattr(Scheduler, "_give_way", counting)
        reader = await sequences[0].fork()
        *together, found = await asyncio.gather(
            *(sequence.generate([], 130, HOT) for sequence in sequences), reader.probabilities(labels)
        )
        assert gave_way > 0
        assert together == alone
        assert found == pytest.approx(read, rel=TOLERANCE)
        assert max(sizes) <= 512


# ------------------------------------------------------------------ endings


async def test_a_cancelled_request_ends_at_the_next_step(backend: TransformersBackend) -> None:
    sequence, other = await backend.open(text_of(5)), await backend.open(text_of(8))
    before = sequence.token_ids
    expected = await (await other.fork()).generate([], 60, HOT)
    beside = asyncio.create_task(other.generate([], 60, HOT))
    shown: list[str] = []
    task = asyncio.create_task(sequence.generate([], 900, HOT, shown.append))
    await until(lambda: bool(shown))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    count = len(shown)
    assert sequence.token_ids == before
    assert await beside == expected
    assert scheduler_of(backend).idle
    assert len(shown) == count
    assert (await sequence.generate([], 5, GREEDY)).tokens == 5


async def test_a_call_that_is_cancelled_as_it_ends_leaves_the_sequence_as_it_was(
    backend: TransformersBackend,
) -> None:
    sequence = await backend.open(text_of(5))
    before = sequence.token_ids
    task = asyncio.create_task(sequence.generate([], 3, GREEDY))
    await asyncio.sleep(0)
    assert sequence._request is not None
    done = sequence._request.done
    threading_wait(done.done)  # the event loop must not learn that it is done
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sequence.token_ids == before


def threading_wait(reached: Callable[[], bool]) -> None:
    pause = threading.Event()
    while not reached():
        pause.wait(0.001)


async def test_closing_a_sequence_ends_what_runs_on_it(backend: TransformersBackend) -> None:
    sequence = await backend.open(text_of(5))
    task = asyncio.create_task(sequence.generate([], 900, HOT))
    await asyncio.sleep(0.01)
    await sequence.close()
    with pytest.raises(ClosedError, match="the sequence was closed"):
        await task
    assert (await (await backend.open(text_of(5))).generate([], 2, GREEDY)).tokens == 2


async def test_keys_and_values_go_with_the_last_sequence_that_needs_them(
    backend: TransformersBackend,
) -> None:
    base = await backend.open(text_of(30))
    fork = await base.fork()
    await fork.generate([], 20, HOT)
    node = base_node(fork)
    nodes = [weakref.ref(part) for part in node.path()]
    del node
    gc.disable()  # nothing may be left for the collector to find
    try:
        await base.close()
        assert scheduler_of(backend).held == fork.tokens - 1
        kept = await fork.fork()
        await fork.close()
        assert scheduler_of(backend).held == kept.tokens - 1
        del fork, base, kept
        await until(lambda: scheduler_of(backend).held == 0)
        assert [reference() for reference in nodes] == [None] * len(nodes)
        await until(lambda: not scheduler_of(backend)._slab._banks)
    finally:
        gc.enable()


def base_node(sequence: EngineSequence) -> Node:
    assert sequence._state is not None
    assert sequence._state.node is not None
    return sequence._state.node


async def until(reached: Callable[[], bool]) -> None:
    while not reached():  # noqa: ASYNC110 - of another thread's doing
        await asyncio.sleep(0.001)


async def test_a_device_whose_memory_is_full_fails_what_runs_and_nothing_else(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequence = await backend.open(text_of(5))
    expected = await (await sequence.fork()).generate([], 5, GREEDY)

    def full(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(Runner, "step", full)
        with pytest.raises(BackendError, match="smaller capacity or context"):
            await sequence.generate([], 5, GREEDY)
    assert await sequence.generate([], 5, GREEDY) == expected


async def test_a_model_that_breaks_down_says_so_to_everybody(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("the kernel is gone")

    sequences = [await backend.open(text_of(5 + number)) for number in range(3)]
    monkeypatch.setattr(Runner, "step", broken)
    tasks = [asyncio.create_task(sequence.generate([], 5, GREEDY)) for sequence in sequences]
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, BackendError)
        assert "the kernel is gone" in str(result) or isinstance(result, ClosedError)
    assert "the kernel is gone" in caplog.text
    with pytest.raises(ClosedError):
        await sequences[0].generate([], 5, GREEDY)


async def test_logits_that_are_no_numbers_fail_one_row_alone(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Runner.step

    def poisoned(runner: Runner, *arguments: Any) -> Tensor:
        logits = step(runner, *arguments)
        logits[0] = math.nan
        return logits

    first, second = await backend.open(text_of(5)), await backend.open(text_of(5))
    expected = await (await second.fork()).generate([], 5, HOT)
    for ask in (lambda: first.generate([], 5, HOT), lambda: first.generate([], 5, GREEDY)):
        with monkeypatch.context() as patch:
            patch.setattr(Runner, "step", poisoned)
            with pytest.raises(BackendError, match="no numbers"):
                await ask()
    assert await second.generate([], 5, HOT) == expected


async def test_one_engine_serves_several_event_loops(backend: TransformersBackend) -> None:
    async def written() -> Generation:
        return await (await backend.open(text_of(5))).generate([], 20, HOT)

    expected = await written()
    elsewhere = (asyncio.to_thread(asyncio.run, written()) for _ in range(3))
    assert set(await asyncio.gather(*elsewhere)) == {expected}


# ------------------------------------------------------------------ loading


async def test_loading_says_nothing_and_what_the_folder_says(capfd: pytest.CaptureFixture[str]) -> None:
    folder = bundled_folder()
    capfd.readouterr()
    async with await TransformersBackend.load(folder, threads=1) as backend:
        await (await backend.open(text_of(2))).generate([], 2, Sampling())
        assert (backend.name, backend.context, backend.capacity) == (folder.name, 8192, 64)
        assert backend.metadata["general.architecture"] == "qwen2"
        domains = backend.metadata["genprm.domains"]
        assert isinstance(domains, tuple)
        assert "arithmetic" in domains
    assert capfd.readouterr() == ("", "")


async def test_a_check_with_many_paths(backend: TransformersBackend) -> None:
    del backend.engine.vocabulary.ends_turn  # type: ignore[attr-defined]
    async with Verifier(backend=backend) as verifier:
        report = await verifier.check(
            ["12 * 7 = 84", "So the answer is 84 + 3 = 88."], problem="What is 12 * 7 + 3?", samples=4
        )
    assert (report.verdict, report.first_error) == ("incorrect", 1)
    assert report.usage.generated_tokens == backend.counters().generated
    assert backend.counters().shared > 0
    await until(lambda: scheduler_of(backend).held == 0)


async def test_a_load_that_is_cancelled_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Event()
    load = loading.load_model

    def loading_model(*arguments: Any) -> Any:
        started.set()
        return load(*arguments)

    monkeypatch.setattr(loading, "load_model", loading_model)
    task = asyncio.create_task(TransformersBackend.load(bundled_folder()))
    assert await asyncio.to_thread(started.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not any(thread.name.startswith("genprm") for thread in threading.enumerate()))


async def test_loading_leaves_the_process_s_threads_as_they_are() -> None:
    threads = torch.get_num_threads()
    async with await TransformersBackend.load(bundled_folder()) as backend:
        await (await backend.open(text_of(2))).generate([], 2, GREEDY)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"context": 0}, "context must be a whole number, at least 1"),
        ({"context": 10**6}, "was trained for 8192 at most"),
        ({"capacity": 0}, "capacity must be a whole number, at least 1"),
        ({"capacity": 1000}, "at most 256"),
        ({"threads": 10**6}, "at most 512"),
        ({"dtype": "int8"}, "dtype must be one of auto, float32"),
        ({"device": "nowhere"}, "device 'nowhere' cannot be used"),
        ({"device": "cpu", "device_map": "auto"}, "exclude each other"),
        ({"quantization": "2bit"}, "quantization must be one of 8bit, 4bit"),
    ],
)
async def test_settings_that_cannot_be(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        await TransformersBackend.load(bundled_folder(), **settings)


@pytest.mark.parametrize(
    ("settings", "package"),
    [({"quantization": "4bit"}, "bitsandbytes"), ({"device_map": "auto"}, "accelerate")],
)
async def test_settings_that_need_another_package(
    settings: dict[str, Any], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = loading.importlib.util.find_spec  # type: ignore[attr-defined]
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == package else find(name, *rest)
    )
    with pytest.raises(InputError, match=f"needs {package}, which is not installed: pip install {package}"):
        await TransformersBackend.load(bundled_folder(), **settings)


async def test_bfloat16_is_near_enough(backend: TransformersBackend) -> None:
    expected = await (await backend.open(text_of(9))).probabilities(["1", " the"])
    async with await TransformersBackend.load(bundled_folder(), dtype="bfloat16", threads=1) as half:
        found = await (await half.open(text_of(9))).probabilities(["1", " the"])
    assert found == pytest.approx(expected, rel=0.3, abs=0.02)
    assert found != expected


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def configured(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return change


def cut_short(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def poisoned(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-400_000] + b"\xff" * 400_000)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def without_template(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text("{}")


def written(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


DAMAGES: dict[str, tuple[Callable[[Path], None], type[GenPRMError], str]] = {
    "no config": (without("config.json"), UnknownModelError, "config.json is missing"),
    "no weights": (without("model.safetensors"), ModelFileError, "model.safetensors is missing"),
    "pickled weights": (pickled, ModelFileError, "model.safetensors is missing"),
    "no tokenizer": (without("tokenizer.json"), UnknownModelError, "no tokenizer.json"),
    "no template": (without_template, ModelFileError, "no chat template"),
    "config is no JSON": (written("config.json", "{"), ModelFileError, "config.json cannot be used"),
    "weights cut short": (cut_short, ModelFileError, "cannot be loaded"),
    "weights are no numbers": (poisoned, ModelFileError, "no numbers"),
    "another width": (configured(hidden_size=96), ModelFileError, "cannot be loaded"),
    "more layers": (
        configured(num_hidden_layers=5, layer_types=["full_attention"] * 5),
        ModelFileError,
        "it names 5 layers, and the weights are those of 4",
    ),
    "endless layers": (configured(num_hidden_layers=10**30), ModelFileError, "the weights are those of 4"),
    "a missing weight": (configured(tie_word_embeddings=False), ModelFileError, "lacks 1 of the model's"),
    "config nested deeply": (written("config.json", "[" * 100_000), ModelFileError, "nested too deeply"),
    "a number for an architecture": (configured(architectures=[5]), ModelFileError, "holds 5"),
    "no list of architectures": (configured(architectures=5), ModelFileError, "no known architecture"),
    "unknown kind": (configured(model_type="nothing"), ModelFileError, "config.json cannot be used"),
    "no causal model": (
        configured(architectures=["Qwen2ForSequenceClassification"]),
        ModelFileError,
        "only causal language models",
    ),
    "sliding window": (
        configured(
            use_sliding_window=True,
            sliding_window=64,
            layer_types=["full_attention", "sliding_attention"] * 2,
        ),
        ModelFileError,
        "cannot forget a token",
    ),
    "rotary by length": (
        configured(rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}),
        ModelFileError,
        "changes with the length",
    ),
    "another tokenizer": (configured(vocab_size=1000), ModelFileError, "do not belong together"),
    "settings that are none": (configured(genprm="verifier"), ModelFileError, "genprm must be an object"),
    "a setting that is none": (configured(genprm={"rounds": None}), ModelFileError, "genprm.rounds"),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
async def test_folders_that_cannot_be_used(
    damage: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    change, kind, complaint = DAMAGES[damage]
    folder = tmp_path / "model"
    shutil.copytree(bundled_folder(), folder)
    change(folder)
    capfd.readouterr()
    with pytest.raises(kind, match=complaint) as raised:
        await TransformersBackend.load(folder)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="there is no model in"):
        await TransformersBackend.load(tmp_path / "nowhere")


async def test_code_in_a_folder_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(bundled_folder(), folder)
    ran = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Evil: pass\n")
    configured(model_type="evil", auto_map={"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"})(
        folder
    )
    with pytest.raises(ModelFileError, match="cannot be used"):
        await TransformersBackend.load(folder)
    assert not ran.exists()
