"""A bounded store that all learners share: made once, however many ask for it at the same moment."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Store(Generic[Value]):
    """Keeps what was used last, up to a capacity; `size` says how much of it a value takes. Safe for threads."""

    def __init__(self, capacity: int, size: Callable[[Value], int]) -> None:
        self.capacity = capacity
        self.used = 0
        self._size = size
        self._kept: OrderedDict[Hashable, Value] = OrderedDict()
        self._coming: dict[Hashable, Future[Value]] = {}
        self._lock = threading.Lock()

    def peek(self, key: Hashable) -> Value | None:
        """The value if it is there, without waiting."""
        with self._lock:
            return self._kept.get(key)

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value for a key: kept, being made by somebody else, or made now. What `make` raises, all who wait get."""
        while True:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
                coming = self._coming.get(key)
                mine = coming is None
                if coming is None:
                    coming = self._coming[key] = Future()
            if mine:
                return self._make(key, make, coming)
            # Whoever was making it was stopped (their own turn ended, not the making): make it ourselves.
            with suppress(CancelledError):
                return coming.result()

    def _make(self, key: Hashable, make: Callable[[], Value], coming: "Future[Value]") -> Value:
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._coming[key]
            if isinstance(error, Exception):
                coming.set_exception(error)
            else:  # Streamlit stops a turn so, with that learner's widgets inside: it must not reach the others
                coming.cancel()
            raise
        with self._lock:
            del self._coming[key]
            self._keep(key, value)
        coming.set_result(value)
        return value

    def _keep(self, key: Hashable, value: Value) -> None:
        size = self._size(value)
        if size > self.capacity:
            return  # it would push everybody else's out and still not fit
        self._kept[key] = value
        self.used += size
        while self.used > self.capacity:
            _, oldest = self._kept.popitem(last=False)
            self.used -= self._size(oldest)
