"""The small verifiers' recipes: alike but for what is varied."""

from __future__ import annotations

import pytest
from reproduction.models import COMPONENTS, SHARES_OF_DATA, SIZES, parameters, recipe_of
from reproduction.scales import SCALES

from genprm_sdk.training.sft import build_model

NAMES = sorted({*SIZES, *COMPONENTS, *SHARES_OF_DATA})


@pytest.mark.parametrize("name", SIZES)
def test_parameters_are_counted_as_they_are(name: str) -> None:
    model = build_model(SIZES[name], seed=0)
    assert parameters(SIZES[name]) == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_each_recipe_differs_from_the_reference_in_one_thing(scale: object) -> None:
    reference = recipe_of("reference", scale).model_dump()  # type: ignore[arg-type]
    for name in NAMES:
        recipe = recipe_of(name, scale).model_dump()  # type: ignore[arg-type]
        differing = {key for key in recipe if recipe[key] != reference[key]}
        assert differing - {"model"} <= {"shape", "mix", "distinct"}
        assert len(differing - {"model"}) == (name != "reference")
