"""What the transformers backend brings: N paths behind one prompt, against ``model.generate``.

In one run, on models of real shapes with random weights and on the bundled one: one call of ``generate`` a
path, one call with ``num_return_sequences``, and our engine. All of them draw the same number of tokens. On a
GPU the engine's time is also compared with what reading weights and cache takes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _shares import Table, show
from transformers import Qwen2Config, Qwen2ForCausalLM

from genprm_sdk import Sampling
from genprm_sdk.backends.tokenizer import TextTokenizer
from genprm_sdk.models import find_model
from genprm_sdk.torch_engine.engine import Engine, EngineSequence
from genprm_sdk.torch_engine.loading import best_device
from genprm_sdk.torch_engine.requests import Prefix
from genprm_sdk.torch_engine.runner import Runner
from genprm_sdk.torch_engine.slab import Layout
from genprm_sdk.training.sft import build_model, load_tied
from genprm_sdk.training.trained import trained_model

SAMPLING = Sampling()
MARGIN = 256
"""Tokens a sequence may hold beyond what is measured."""

COPIED_BYTES = 1 << 31


@dataclass(frozen=True)
class Shape:
    """The sizes of a Qwen2 model."""

    layers: int
    width: int
    heads: int
    key_value_heads: int
    feed_forward: int
    vocabulary: int = 151_936


SHAPES = {
    "0.1b": Shape(12, 768, 12, 2, 2048, 32_000),
    "0.5b": Shape(24, 896, 14, 2, 4864),
    "1.5b": Shape(28, 1536, 12, 2, 8960),
    "7b": Shape(28, 3584, 28, 4, 18_944, 152_064),
}


def model_of(name: str, device: str, bundled: Any) -> Any:
    if name == "mini":
        model = build_model(bundled.shape, seed=0, attention="sdpa")
        load_tied(model, bundled.weights)
    else:
        shape = SHAPES[name]
        config = Qwen2Config(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            intermediate_size=shape.feed_forward,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.key_value_heads,
            max_position_embeddings=32_768,
            tie_word_embeddings=name != "7b",
            dtype="bfloat16" if device == "cuda" else "float32",
        )
        config._attn_implementation = "sdpa"
        before = torch.get_default_dtype()
        torch.set_default_dtype(config.dtype)
        try:
            with torch.device(device):
                model = Qwen2ForCausalLM(config)
        finally:
            torch.set_default_dtype(before)
    return model.to(device).eval().requires_grad_(False)


async def timed(run: Callable[[], Awaitable[None]]) -> float:
    begin = time.perf_counter()
    await run()
    return time.perf_counter() - begin


async def measure(name: str, arguments: argparse.Namespace, bundled: Any) -> dict[str, str]:
    device = best_device()
    model = model_of(name, device, bundled)
    vocabulary = TextTokenizer(bundled.tokenizer.to_str())
    vocabulary.ends_turn = lambda token: False  # type: ignore[method-assign]
    probe = model(input_ids=torch.zeros((1, 2), dtype=torch.long, device=device), use_cache=True)
    layout = Layout.of(probe.past_key_values)
    length = arguments.prompt + arguments.new + MARGIN
    engine = Engine(
        Runner(model, layout), vocabulary, length=length, most=arguments.paths, cells=length * arguments.paths
    )
    rounds = 0

    def prompt() -> list[int]:
        """Another one in each round, so that nothing is found in memory."""
        nonlocal rounds
        rounds += 1
        generator = torch.Generator().manual_seed(rounds)
        return torch.randint(0, 1000, (arguments.prompt,), generator=generator).tolist()

    def generate(count: int, tokens: list[int]) -> None:
        model.generate(
            torch.tensor([tokens], device=device),
            attention_mask=torch.ones((1, len(tokens)), dtype=torch.long, device=device),
            do_sample=True,
            temperature=SAMPLING.temperature,
            top_k=SAMPLING.top_k,
            top_p=SAMPLING.top_p,
            max_new_tokens=arguments.new,
            min_new_tokens=arguments.new,
            num_return_sequences=count,
            pad_token_id=0,
            use_cache=True,  # the bundled model's configuration is the training's, without one
        )

    async def by_path() -> None:
        tokens = prompt()
        for _ in range(arguments.paths):
            generate(1, tokens)

    async def by_return_sequences() -> None:
        generate(arguments.paths, prompt())

    async def by_engine() -> None:
        base = EngineSequence(engine, Prefix(prompt()))
        forks = [await base.fork() for _ in range(arguments.paths)]
        written = (fork.generate([], arguments.new, Sampling(seed=seed)) for seed, fork in enumerate(forks))
        assert {each.tokens for each in await asyncio.gather(*written)} == {arguments.new}

    ways = {"generate": by_path, "num_return_sequences": by_return_sequences, "engine": by_engine}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    try:
        await by_engine()
        generate(1, prompt())
        for _ in range(arguments.repeats):
            for way, run in ways.items():
                seconds[way].append(await timed(run))
        evaluated = engine.counters().evaluated // (arguments.repeats + 1)
    finally:
        await engine.close()
    medians = {way: statistics.median(each) for way, each in seconds.items()}
    drawn = arguments.paths * arguments.new
    row = {
        way: f"{median:.2f} s, {drawn / median:,.0f} tokens/s, {medians['generate'] / median:.2f}x"
        for way, median in medians.items()
    }
    row["tokens evaluated by the engine"] = (
        f"{evaluated:,} of {arguments.paths * (arguments.prompt + arguments.new):,}"
    )
    if device == "cuda":
        row["engine of what the memory allows"] = f"{bound(model, layout, arguments) / medians['engine']:.1%}"
    return row


def bound(model: Any, layout: Layout, arguments: argparse.Namespace) -> float:
    """Seconds that the steps take if only reading weights and cache counts, at a measured bandwidth."""
    source = torch.empty(COPIED_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    target.copy_(source)
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(10):
        target.copy_(source)
    torch.cuda.synchronize()
    bandwidth = 10 * 2 * COPIED_BYTES / (time.perf_counter() - begin)
    weights = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    cached = arguments.paths * (arguments.prompt + arguments.new / 2) * layout.token_bytes
    return float(arguments.new * (weights + cached) / bandwidth)


async def measure_all(arguments: argparse.Namespace) -> Table:
    bundled = trained_model(find_model("genprm-mini")[1])
    table: Table = {}
    for name in arguments.shapes:
        title = f"{name}, {arguments.paths} paths of {arguments.new} tokens behind {arguments.prompt}"
        table[title] = await measure(name, arguments, bundled)
        show(title, table[title])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shapes = ["mini", "1.5b", "7b"] if torch.cuda.is_available() else ["mini", "0.1b"]
    parser.add_argument("--shapes", nargs="*", choices=["mini", *SHAPES], default=shapes)
    parser.add_argument("--paths", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=512, help="tokens")
    parser.add_argument("--new", type=int, default=96, help="tokens of each path")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--out", type=Path, help="also write the table as JSON")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with torch.inference_mode():
        table = asyncio.run(measure_all(arguments))
    if arguments.out:
        arguments.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
