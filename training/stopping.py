"""SIGINT and SIGTERM in a training: a step is finished, and processes that help hear of neither.

Ctrl-C reaches all processes of a group, so those that help would die, or complain, before whoever leads them
could end the step with them.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

__all__ = ["Stop", "asked_to_stop", "deaf", "interruptible", "never", "with_signals_held_back"]

Stop = Callable[[], bool]
"""Asked at every step: whether to end with a checkpoint now."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def never() -> bool:
    """Do not stop."""
    return False


@contextmanager
def interruptible() -> Iterator[None]:
    """For as long as this lasts, SIGTERM raises KeyboardInterrupt too."""
    with _heard_by(signal.default_int_handler):
        yield


@contextmanager
def asked_to_stop() -> Iterator[Stop]:
    """For as long as this lasts, either signal is only noted; yields what says whether one has come."""
    asked: list[int] = []
    with _heard_by(lambda number, frame: asked.append(number)):
        yield lambda: bool(asked)


@contextmanager
def _heard_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # no other thread hears signals
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def with_signals_held_back() -> Iterator[None]:
    """Both wait until the end of this; a process that is started meanwhile holds them back until ``deaf``."""
    # The first process that is started starts the tracker, and that lets signals through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def deaf() -> None:
    """Ignore both from now on, also those that were held back: whoever leads this process ends it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
