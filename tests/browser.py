"""A real Chromium for the tests: where it is, and how to get one. `python -m tests.browser` makes sure of it."""

import os
import shutil
import subprocess
import sys

from playwright.sync_api import Browser, Playwright, sync_playwright

# No sandbox: tests run as root in containers. The rest keeps the browser from asking the network by itself.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def executable() -> str | None:
    """The Chromium or Chrome that is installed on this machine, or None for Playwright's own.

    Best the one without windows: it is the same engine and takes half of the processor's time for the same tests.
    """
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


def launch(playwright: Playwright) -> Browser:
    """A headless Chromium."""
    return playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)


def works() -> bool:
    with sync_playwright() as playwright:
        try:
            launch(playwright).close()
        except Exception:
            return False
    return True


def main() -> int:
    """Install a browser unless one works: Playwright's own build, or else a package of Debian's or Ubuntu's."""
    root = [] if os.geteuid() == 0 else ["sudo"]
    get = [*root, "apt-get", "-qq"]
    packages = [[[*get, "install", "-y", name]] for name in ("chromium-headless-shell", "chromium")]
    playwright = [[sys.executable, "-m", "playwright", "install", "chromium", "--only-shell"]]
    for commands in ([], playwright, *([[[*get, "update"]], *packages] if shutil.which("apt-get") else [])):
        for command in commands:
            subprocess.run(command, check=False)
        if works():
            return 0
    sys.stderr.write(
        "No Chromium could be started: install chromium, or run `python -m playwright install chromium`.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
