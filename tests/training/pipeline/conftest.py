"""What the pipeline's tests share: a model without weights."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).with_name("sums.py")


@pytest.fixture(scope="session")
def sums() -> ModuleType:
    """The module of the scripted model."""
    spec = importlib.util.spec_from_file_location("pipeline_sums", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pipeline_sums"] = module
    spec.loader.exec_module(module)
    return module
