"""A Streamlit server of our own on a free port, ended by its process id."""

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

ROOT = Path(__file__).parents[2]
APP = ROOT / "app.py"
ECHO = Path(__file__).parent / "echo_app.py"


@dataclass(frozen=True)
class Server:
    """A running server: its port on this machine and its process."""

    port: int
    process: psutil.Process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def resident(self) -> float:
        """Megabytes of memory that the server and its children hold (resident set size)."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family) / 1e6


@contextlib.contextmanager
def serve(app: Path, cores: int | None = None) -> Iterator[Server]:
    """Run `streamlit run app` in a process group of its own until the block ends, kept to so many cores.

    Raises RuntimeError with the server's last words when it does not come up within 60 seconds.
    """
    port = _free_port()
    flags = {"port": port, "address": "127.0.0.1", "headless": "true", "fileWatcherType": "none"}
    options = [f"--server.{name}={value}" for name, value in flags.items()]
    options += ["--browser.gatherUsageStats=false", "--client.showErrorDetails=full"]  # errors end up in the table
    command = [sys.executable, "-m", "streamlit", "run", str(app), *options]
    with tempfile.TemporaryFile() as log:
        running = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            server = Server(port, psutil.Process(running.pid))
            if cores and hasattr(server.process, "cpu_affinity"):  # before torch counts them
                server.process.cpu_affinity(server.process.cpu_affinity()[:cores])
            if not _healthy(server, running):
                log.seek(0)
                raise RuntimeError(f"{app.name} did not come up: {log.read()[-2000:].decode(errors='replace')}")
            yield server
        finally:
            _end(running)


def _healthy(server: Server, running: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + 60
    while time.monotonic() < until and running.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=5) as answer:
            return answer.status == 200
        time.sleep(0.02)
    return False


def _end(running: subprocess.Popen[bytes]) -> None:
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(5)
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
