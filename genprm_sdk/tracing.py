"""OpenTelemetry spans for whoever collects them; without its API in the process they cost nothing."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

__all__ = ["span"]


def span(name: str, **attributes: str | int | float | bool) -> AbstractContextManager[Any]:
    """A span ``genprm.<name>`` with attributes ``genprm.<attribute>``, as a child of the current one.

    Spans are made where the program has imported ``opentelemetry.trace``; who does not, collects none.
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return nullcontext()
    tracer = trace.get_tracer("genprm_sdk")
    named = {f"genprm.{key}": value for key, value in attributes.items()}
    started: AbstractContextManager[Any] = tracer.start_as_current_span(f"genprm.{name}", attributes=named)
    return started
