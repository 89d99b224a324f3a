"""llama-server on the bundled model, as xllamacpp runs it, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = """
import sys
import xllamacpp

path, context, slots = sys.argv[1], *map(int, sys.argv[2:4])
options = xllamacpp.CommonParams()
options.model.path = path
options.n_ctx = context * slots
options.n_parallel = slots
options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
options.verbosity = -1
server = xllamacpp.Server(options)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def llama_server(model: Path, context: int, slots: int = 4) -> Iterator[str]:
    """Its address; it ends with the block."""
    with llama_server_process(model, context, slots) as (address, _):
        yield address


@contextmanager
def llama_server_process(
    model: Path, context: int, slots: int = 4
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Its address and its process; it ends with the block."""
    command = [sys.executable, "-c", PROGRAM, str(model), str(context), str(slots)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("http"), "the server has not started"
            yield address, process
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
