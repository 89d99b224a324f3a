"""Recipes: the bundled ones are sound, and a wrong one is refused with what is wrong and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from genprm_sdk.training.recipe import Recipe, RecipeError, bundled_recipe, load_recipe
from genprm_sdk.training.worlds import WORLDS

TINY: dict[str, Any] = {
    "model": "tiny",
    "role": "verifier",
    "vocabulary": {"size": 700, "examples": 20},
    "shape": {
        "vocabulary": 700,
        "width": 32,
        "layers": 1,
        "heads": 2,
        "key_value_heads": 1,
        "feed_forward": 32,
    },
    "schedule": {"steps": 4, "tokens": 256},
    "shares": {"arithmetic": 1.0},
}


def shaped(**changes: int) -> dict[str, Any]:
    return {"shape": {**TINY["shape"], **changes}}


def written(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**TINY, **changes}))
    return path


@pytest.mark.parametrize("name", ["genprm-mini", "policy-mini", "genprm-10m"])
def test_bundled_recipes_are_sound(name: str) -> None:
    recipe = load_recipe(bundled_recipe(name))
    assert recipe.model == name
    assert set(recipe.shares) == set(WORLDS)


def test_the_bundled_models_share_a_vocabulary() -> None:
    verifier, policy = (load_recipe(bundled_recipe(name)) for name in ("genprm-mini", "policy-mini"))
    assert verifier.vocabulary == policy.vocabulary


def test_a_recipe_survives_its_own_dump(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, attempts={"from_step": 2, "share": 0.5}))
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": {"alchemy": 1}}, r"shares: .*unknown domain 'alchemy'; there are arithmetic, dyck"),
        ({"shares": {}}, "shares: .*no domain is named"),
        ({"shares": {"dyck": 0}}, "shares.dyck: .*greater than 0"),
        ({"role": "judge"}, "role: .*'verifier' or 'policy'"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"schedule": {"steps": 0}}, "schedule: .*steps must be at least 1"),
        ({"schedule": {"steps": 4, "speed": 1}}, "schedule.speed: "),
        ({"attempts": {"from_step": 4, "share": 0.5}}, "the attempts begin behind the last step"),
        ({"attempts": {"from_step": 1, "share": 2}}, "attempts.share: "),
        ({"vocabulary": {"size": 701}}, "the shape has 700 tokens, the vocabulary 701"),
        ({"model": None}, "model: "),
        ({"model": "a/b"}, "model: .*'a/b' cannot be a file's name"),
        ({"model": " "}, "model: .*cannot be a file's name"),
        ({"model": "m" * 251}, "model: .*cannot be a file's name"),
        (shaped(layers=0), "shape: .*layers must be at least 1, not 0"),
        (shaped(heads=3), "shape: .*width is 32, which its 3 heads cannot share evenly"),
        (shaped(heads=32), "shape: .*heads of width 1; .*even"),
        (shaped(heads=2, key_value_heads=3), "shape: .*heads are 2, which 3 key_value_heads cannot"),
        (shaped(width=48), r"shape\.width is 48: .*multiple of 32"),
        (shaped(feed_forward=40), r"shape\.feed_forward is 40: .*multiple of 32"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(written(tmp_path, **changes))


@pytest.mark.parametrize("text", ["", "- a", "a: [", "\x00", "7"])
def test_what_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"recipe\.yaml"):
        load_recipe(path)
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match="no recipe is called 'none'; there are genprm-10m, genprm-mini"):
        bundled_recipe("none")


def test_what_yaml_itself_breaks_on_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("n: 2001-99-99")
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        load_recipe(path)


def test_a_name_that_no_file_can_have_is_an_unknown_recipe() -> None:
    with pytest.raises(RecipeError, match="no recipe is called"):
        bundled_recipe("a" * 5000)


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        load_recipe(path)
