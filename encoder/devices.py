"""Where a model computes: the accelerator of this machine, if it has one, and what to do when its memory is full."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

THREADS = torch.get_num_threads()
# Multiplications, measured: two threads read 14 tokens with MiniLM in 33 ms and one in 14; 126 tokens in 45 and 45;
# with other work on the machine two need 114 ms and one 50 for 128, the usual limit.
ALONE = 80_000_000


def accelerator() -> str | None:
    """The device beside the CPU, "cuda" or "mps", or None."""
    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    return None


def synchronize(device: str) -> None:
    """Wait until the device has done what it was asked to: without it, a clock would time the asking."""
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()


def is_out_of_memory(error: RuntimeError) -> bool:
    # MPS and cuBLAS raise plain RuntimeErrors that say so in their own words.
    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in said or "alloc_failed" in said


def free_memory(device: str) -> None:
    """Give cached blocks back, so that the next, smaller reading finds room."""
    if device == "cuda":
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()


@contextmanager
def threads(multiplications: int) -> Iterator[None]:
    """Compute small matrix products, of so many multiplications at most, in the calling thread alone.

    Waking the others takes longer than their share of the work, and thirty learners keep all cores busy anyway.
    """
    # Of this thread; one that first computes meanwhile begins with as many.
    torch.set_num_threads(1 if multiplications < ALONE else THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(THREADS)
