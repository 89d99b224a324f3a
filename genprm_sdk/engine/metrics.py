"""An engine at a moment, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """An engine at a moment.

    Attributes:
        open: Sequences that were opened and not closed.
        running: Requests in evaluation.
        waiting: Requests in the queue.
        cells: Tokens that the cache holds at most.
        used_cells: Tokens in it; what several share counts once.
        cached_cells: Those that no running request needs, kept for whoever comes with the same beginning.
        generated: Tokens drawn, since the start.
        evaluated: Tokens that went through the model.
        cached: Tokens that did not have to, because they were in the cache.
        iterations: Runs of the model.
        sequences: Sequences in those runs, summed over the runs.
        preempted: How often a running request had to give way.
        busy_seconds: Time in which there was something to do.
        decode_seconds: Of it, the time in llama.cpp's evaluation.
        sampling_seconds: Of it, the time in llama.cpp's sampling.
        queued_seconds: Time that requests waited to be admitted, summed over requests.
    """

    open: int = 0
    running: int = 0
    waiting: int = 0
    cells: int = 0
    used_cells: int = 0
    cached_cells: int = 0
    generated: int = 0
    evaluated: int = 0
    cached: int = 0
    iterations: int = 0
    sequences: int = 0
    preempted: int = 0
    busy_seconds: float = 0.0
    decode_seconds: float = 0.0
    sampling_seconds: float = 0.0
    queued_seconds: float = 0.0

    @property
    def occupancy(self) -> float:
        """Sequences in a run of the model, on average."""
        return self.sequences / self.iterations if self.iterations else 0.0
