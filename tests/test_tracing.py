"""Spans for whoever collects them, nothing for whoever does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from genprm_sdk import Verifier

pytestmark = pytest.mark.anyio


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield kept
    provider.shutdown()


async def test_a_check_is_a_tree_of_spans(exporter: InMemorySpanExporter) -> None:
    async with Verifier("genprm-mini", threads=1) as verifier:
        await verifier.check(["A = (3 + 4) = 7.", "So 7."], problem="(3 + 4) =", samples=2)
    spans = exporter.get_finished_spans()
    by_id = {span.context.span_id: span for span in spans if span.context}

    def parent(span: ReadableSpan) -> str | None:
        return None if span.parent is None else by_id[span.parent.span_id].name

    parents = {(span.name, parent(span)) for span in spans}
    assert {
        ("genprm.check", None),
        ("genprm.step", "genprm.check"),
        ("genprm.path", "genprm.step"),
        ("genprm.generate", "genprm.path"),
        ("genprm.code", "genprm.path"),
    } == parents
    paths = [span.attributes for span in spans if span.name == "genprm.path"]
    assert {(found["genprm.step"], found["genprm.path"]) for found in paths if found} == {
        (step, path) for step in range(2) for path in range(2)
    }


def test_importing_the_library_imports_no_tracing() -> None:
    code = "import sys, genprm_sdk; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
