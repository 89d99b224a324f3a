"""Shows results to people: ``terminal.py`` as rich renderables, ``text.py`` makes foreign text harmless.

Takes the types callers see and nothing else; where the result is printed is the caller's choice.
"""
