"""The paper's experiments (arXiv 2504.00891) in miniature: on generated worlds, with models that train here.

``scales.py`` (how much) -> ``models.py`` (small verifiers that are trained), ``verifications.py`` (solutions
that they judged, kept) -> ``experiments/`` (a file each: what the paper found, and what is found here) ->
``page.py`` (the document). ``scoring.py`` has the metrics and ``published.py`` the paper's own numbers.
"""
