"""The room's public names, what importing them loads, and the published numbers in the documentation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import genprm_sdk.evaluation as evaluation
from genprm_sdk.evaluation import PUBLISHED

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"


def test_every_public_name_is_there() -> None:
    for name in evaluation.__all__:
        assert getattr(evaluation, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        evaluation.nothing  # noqa: B018


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, genprm_sdk.evaluation\n"
        "from genprm_sdk.evaluation.reading import read_records\n"
        "heavy = {'numpy', 'scipy', 'torch', 'llama_cpp', 'genprm_sdk.agents'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_evaluation_knows_no_agents() -> None:
    code = (
        "import sys, genprm_sdk.evaluation as e\n"
        "[getattr(e, name) for name in e.__all__]\n"
        "sys.exit('agents are loaded' if 'genprm_sdk.agents' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_documentation_has_the_published_numbers() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for each in PUBLISHED["processbench"]:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {each.model} |")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[2 if each.samples == 8 else 1] == f"{100 * each.value:.1f}"
