"""What is drawn: against the same rules spelt out token by token, and against the settings' meaning."""

from __future__ import annotations

import math

import pytest
import torch

from genprm_sdk import Sampling
from genprm_sdk.torch_engine.sampling import draw

SETTINGS = [
    Sampling(temperature=1, top_k=0, top_p=1),
    Sampling(temperature=0.6, top_k=20, top_p=0.95),
    Sampling(temperature=2.5, top_k=5, top_p=1),
    Sampling(temperature=1.3, top_k=0, top_p=0.7),
    Sampling(temperature=1, top_k=0, top_p=1, min_p=0.2),
    Sampling(temperature=1.5, top_k=30, top_p=0.8, min_p=0.1),
    Sampling(temperature=1, top_k=10_000, top_p=0.01),
]


def kept(logits: list[float], sampling: Sampling) -> list[tuple[int, float]]:
    """Tokens and their probabilities, likeliest first, by the rules one after the other."""
    order = sorted(range(len(logits)), key=lambda token: -logits[token])
    if sampling.top_k:
        order = order[: sampling.top_k]
    weights = [math.exp((logits[token] - logits[order[0]]) / sampling.temperature) for token in order]
    pairs = [
        (token, weight)
        for token, weight in zip(order, weights, strict=True)
        if weight >= sampling.min_p * weights[0]
    ]
    total = sum(weight for _, weight in pairs)
    chosen: list[tuple[int, float]] = []
    upto = 0.0
    for token, weight in pairs:
        if upto >= sampling.top_p:
            break
        chosen.append((token, weight / total))
        upto += weight / total
    whole = sum(weight for _, weight in chosen)
    return [(token, weight / whole) for token, weight in chosen]


def expected(logits: list[float], sampling: Sampling, place: float) -> tuple[int, float]:
    """The token at a place, and how near the place is to the border of another."""
    upto, nearest = 0.0, 1.0
    found = None
    for token, probability in kept(logits, sampling):
        upto += probability
        nearest = min(nearest, abs(place - upto))
        if found is None and place < upto:
            found = token
    assert found is not None
    return found, nearest


@pytest.mark.parametrize("sampling", SETTINGS)
def test_rows_draw_what_the_rules_say(sampling: Sampling) -> None:
    torch.manual_seed(0)
    logits = 3 * torch.randn(300, 64)
    places = torch.rand(300).tolist()
    checked = 0
    for row, place, token in zip(logits.tolist(), places, draw(logits, sampling, places), strict=True):
        wanted, margin = expected(row, sampling, place)
        if margin > 1e-5:  # nearer than that, rounding decides
            assert token == wanted
            checked += 1
    assert checked > 280


def test_a_row_draws_the_same_whatever_the_others_are() -> None:
    torch.manual_seed(1)
    logits, places = torch.randn(20, 500), torch.rand(20).tolist()
    together = draw(logits, SETTINGS[1], places)
    assert together == [draw(logits[at : at + 1], SETTINGS[1], [places[at]])[0] for at in range(20)]


def test_no_temperature_takes_the_likeliest_and_a_tiny_one_too() -> None:
    torch.manual_seed(2)
    logits = torch.randn(20, 500)
    likeliest = logits.argmax(-1).tolist()
    for temperature in (0, 1e-30):
        assert draw(logits, Sampling(temperature=temperature), [0.999] * 20) == likeliest


@pytest.mark.parametrize("sampling", [*SETTINGS[:2], Sampling(temperature=0)])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_rows_without_numbers_draw_nothing_and_leave_the_others_alone(
    sampling: Sampling, number: float
) -> None:
    logits = torch.randn(3, 40)
    before = draw(logits, sampling, [0.3] * 3)
    logits[1, 7] = number
    assert draw(logits, sampling, [0.3] * 3) == [before[0], None, before[2]]


def test_the_largest_place_is_still_in_the_kept_tokens() -> None:
    logits = torch.zeros(1, 1000)
    logits[0, 17] = 20.0
    for sampling in SETTINGS:
        (token,) = draw(logits, sampling, [math.nextafter(1, 0)])
        assert token in {number for number, _ in kept(logits[0].tolist(), sampling)}
