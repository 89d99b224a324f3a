"""Benchmarks: records in, the benchmark's own metric out.

``reading.py`` (JSON files, broken ones too) -> ``datasets.py`` (what a record means) -> ``runner.py`` (every
record through a checker) with ``store.py`` (what was finished before) -> ``outcome.py`` (one record's result)
-> ``metrics.py`` (scores with intervals). ``calibration.py`` asks how well scores can be taken at their word.
Import from the files; only ``metrics.py`` and ``runner.py`` load numpy.
"""
