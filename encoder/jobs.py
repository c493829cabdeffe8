"""Something under way in the background, shared by everybody who waits for it."""

import threading


class Job:
    """Any thread may read it. At the end `error` is set if it went wrong: one plain sentence."""

    def __init__(self) -> None:
        self.error: str | None = None
        self._over = threading.Event()

    @property
    def finished(self) -> bool:
        """Whether it is over, well or not."""
        return self._over.is_set()

    def end(self) -> None:
        """Let go whoever waits."""
        self._over.set()

    def join(self, seconds: float | None = None) -> None:
        """Wait until it is over, but no longer than that."""
        self._over.wait(seconds)
