"""The small verifiers' recipes: alike but for what is varied."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from reproduction.models import (
    COMPONENTS,
    SEEING_RATIONALES,
    SHARES_OF_DATA,
    SIZES,
    parameters,
    recipe_of,
)
from reproduction.scales import SCALES, Scale

from genprm_sdk.training.sft import build_model


@pytest.mark.parametrize("name", SIZES)
def test_parameters_are_counted_as_they_are(name: str) -> None:
    model = build_model(SIZES[name], seed=0)
    assert parameters(SIZES[name]) == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize(
    ("names", "reference"),
    [(SIZES, "medium"), ((*COMPONENTS, *SHARES_OF_DATA, SEEING_RATIONALES), "reference")],
)
def test_each_recipe_differs_in_one_thing(names: Iterable[str], reference: str, scale: Scale) -> None:
    same = recipe_of(reference, scale).model_dump()
    for name in names:
        recipe = recipe_of(name, scale).model_dump()
        differing = {key for key in recipe if recipe[key] != same[key]} - {"model"}
        assert differing <= {"shape", "mix", "distinct", "history"}
        assert len(differing) == (name != reference)
