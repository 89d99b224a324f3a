"""Continuous batching of a Hugging Face model in torch, with prefixes shared by whoever continues them.

    engine.py      sequences for asyncio tasks, and the one thread that runs the model
    scheduler.py   what goes through the model next, and who waits or gives way
    requests.py    what can be asked: write on, how likely are these labels
    sampling.py    draws the next tokens of many rows at once
    runner.py      the model itself: runs of text, and single steps of many rows
    slab.py        keys and values of rows that run together, as transformers' cache
    tree.py        keys and values of what was evaluated, for as long as a sequence needs them
    loading.py     a folder of weights to a model that can do all this

Importing this package loads nothing; its modules load torch.
"""
