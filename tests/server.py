"""The app as a process of its own on a free port of this machine, as `make run` starts it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PATIENCE = 60  # seconds until a server that does not answer counts as broken


@dataclass(frozen=True)
class Server:
    """A running app: where it answers, its process id, and the file with everything it said."""

    url: str
    pid: int
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def serve(log: Path, **environment: str) -> Iterator[Server]:
    """Run the app until the block ends, with these environment variables besides our own.

    Raises RuntimeError with the app's last words when it does not answer within a minute.
    """
    port = _free_port()
    flags = ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"]
    with log.open("wb") as words:
        running = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", *flags],
            cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=words, stderr=words,
            start_new_session=True,
        )  # fmt: skip
        server = Server(f"http://127.0.0.1:{port}", running.pid, log)
        try:
            if not _answers(server, running):
                raise RuntimeError(f"The app did not come up: {server.said()[-2000:]}")
            yield server
        finally:
            _end(running)


def _answers(server: Server, running: "subprocess.Popen[bytes]") -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and running.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=5) as answer:
            return bool(answer.status == 200)
        time.sleep(0.05)
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
