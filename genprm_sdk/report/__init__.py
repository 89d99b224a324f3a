"""Shows results to people: ``terminal.py`` as rich renderables, ``html.py`` as a page or a notebook's output.

``findings.py`` holds the words that both use, and ``text.py`` makes foreign text harmless for both.
Takes the types callers see and nothing else; where the result is printed is the caller's choice.
"""
