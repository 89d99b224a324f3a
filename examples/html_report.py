"""Write a report as one HTML page that needs nothing from anywhere."""

import tempfile
from pathlib import Path

from genprm_sdk.sync import Verifier

STEPS = ["A = (3 + 4 * 2) = (3 + 8) = 11.", "B = (5 - -6) = (5 - 6) = -1."]

with Verifier("genprm-mini") as verifier:
    report = verifier.check(STEPS, samples=4)

page = Path(tempfile.mkdtemp()) / "report.html"
page.write_text(report.to_html("Two sums"), encoding="utf-8")
print(f"{page} ({page.stat().st_size:,} bytes), first mistake: {report.first_error}")
