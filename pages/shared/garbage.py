"""Python's garbage collector, which is one for the whole process, while models load."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_loads = 0  # under way
_was_on = True  # before the first of them began


@contextmanager
def resting() -> Iterator[None]:
    """No collection while anything loads: of what is imported all stays, and looking it through takes a fifth more.

    After the last of several loads everything that is there is frozen: Streamlit collects after every turn, and would
    walk all of torch each time, 170 ms of a 200 ms turn.
    """
    global _loads, _was_on  # as the collector itself
    with _lock:
        if _loads == 0:
            _was_on = gc.isenabled()
            gc.disable()
        _loads += 1
    try:
        yield
    finally:
        with _lock:
            _loads -= 1
            if _loads == 0:
                if _was_on:
                    gc.enable()
                gc.collect()
                gc.freeze()
