"""llama-server, as xllamacpp runs it, in a process of its own: in ours it would halve every other's speed.

Prints with what it was built and its address, and ends when its standard input does.
"""

from __future__ import annotations

import sys
from importlib.metadata import version

import xllamacpp  # type: ignore[import-not-found,unused-ignore]


def main() -> None:
    path, context, slots, threads = sys.argv[1], *map(int, sys.argv[2:5])
    options = xllamacpp.CommonParams()
    options.model.path = path
    options.n_ctx = context * slots
    options.n_parallel = slots
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = threads
    options.verbosity = -1
    server = xllamacpp.Server(options)
    print(f"xllamacpp {version('xllamacpp')}, {str(xllamacpp.get_system_info()).strip(' |')}")
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
