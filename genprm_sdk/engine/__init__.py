"""Continuous batching on one llama.cpp context, with prefixes shared by whoever needs them.

    engine.py      sequences for asyncio tasks, and the one thread that owns the model
    scheduler.py   what goes through the model next, and who waits or gives way
    requests.py    what can be asked: write on, how likely are these labels
    pool.py        who has what in the cache
    tree.py        which runs of tokens lie there
    writing.py     stop strings, and text without broken characters
    context.py     llama.cpp itself, with its rules
    fit.py         what fits on this machine

Importing this loads nothing; llama.cpp comes with the first model.
"""
