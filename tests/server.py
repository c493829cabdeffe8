"""A Streamlit server of our own on a free port of this machine, ended by its process id."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
APP, ECHO = ROOT / "app.py", ROOT / "tests/bench/echo_app.py"
PATIENCE = 60  # seconds until a server that does not answer counts as broken


@dataclass(frozen=True)
class Server:
    """A running server: its port on this machine, its process, and the open file with everything it said."""

    port: int
    process: psutil.Process
    words: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        return os.pread(self.words, 2**24, 0).decode(errors="replace")  # leaves the place where the server writes

    def resident(self) -> float:
        """Megabytes of memory that the server and its children hold (resident set size)."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family) / 1e6


@contextlib.contextmanager
def serve(app: Path = APP, cores: int | None = None, **environment: str) -> Iterator[Server]:
    """Run an app in a process group of its own until the block ends, kept to so many cores.

    It has these environment variables besides our own. Raises RuntimeError with the server's last words when it does
    not answer within a minute.
    """
    port = _free_port()
    flags = ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"]
    with tempfile.TemporaryFile() as words:
        running = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(app), *flags],
            cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=words, stderr=words,
            start_new_session=True,
        )  # fmt: skip
        server = Server(port, psutil.Process(running.pid), words.fileno())
        try:
            if cores and hasattr(server.process, "cpu_affinity"):  # before torch counts them
                server.process.cpu_affinity(server.process.cpu_affinity()[:cores])
            if not _answers(server, running):
                raise RuntimeError(f"{app.name} did not come up: {server.said()[-2000:]}")
            yield server
        finally:
            _end(running)


def _answers(server: Server, running: "subprocess.Popen[bytes]") -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and running.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=5) as answer:
            return bool(answer.status == 200)
        time.sleep(0.02)
    return False


def _end(running: "subprocess.Popen[bytes]") -> None:
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(5)
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
