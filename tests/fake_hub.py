"""A stand-in for the Hugging Face Hub on this machine: as much of its protocol as huggingface_hub 2.4 speaks.

It serves the repositories in a folder (`folder/owner/name/config.json` and so on) on 127.0.0.1, and can be told to be
slow, to break off, or to refuse. In a test, `with FakeHub(folder) as hub:`, then a process with HF_ENDPOINT=hub.url;
by hand, `python -m tests.fake_hub folder --tiny google-bert/bert-base-uncased --bytes-per-second 100000`.
"""

import argparse
import contextlib
import hashlib
import json
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

REPO = r"(?P<repo>[\w.-]+(?:/[\w.-]+)?)"
INFO = re.compile(rf"/api/models/{REPO}(?:/revision/(?P<revision>[^/]+))?")
TREE = re.compile(rf"/api/models/{REPO}/tree/(?P<revision>[^/]+)")
FILE = re.compile(rf"/{REPO}/resolve/(?P<revision>[^/]+)/(?P<name>.+)")


class FakeHub:
    """A running Hub. Its attributes may be changed while it runs.

    bytes_per_second: speed of file contents; None is as fast as it goes.
    break_after: bytes of file contents, counted in `sent`, after which every connection is cut; None never cuts.
    answer: an HTTP status given to every request instead of what it asks for; None answers truly.
    moved: old id → new id, as the Hub redirects "bert-base-uncased" to "google-bert/bert-base-uncased".
    requests: what was asked, as "GET /path" or "GET /path bytes=100-".
    """

    def __init__(
        self, folder: Path, port: int = 0, *, bytes_per_second: int | None = None,
        break_after: int | None = None, answer: int | None = None, moved: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.bytes_per_second = bytes_per_second
        self.break_after = break_after
        self.answer = answer
        self.moved = moved or {}
        self.requests: list[str] = []
        self.sent = 0  # bytes of file contents so far
        hub = self

        class Handler(_Handler):
            def setup(self) -> None:
                self.hub = hub
                super().setup()

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FakeHub":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def files(self, repo: str) -> dict[str, Path]:
        """Every file of a repository by its name there; empty for a repository there is none of."""
        home = self.folder / repo
        return {path.relative_to(home).as_posix(): path for path in sorted(home.rglob("*")) if path.is_file()}

    def commit(self, repo: str) -> str:
        """The one commit of a repository: another one as soon as a file comes, goes or changes."""
        parts = [f"{name} {_etag(path)}" for name, path in self.files(repo).items()]
        return hashlib.sha1("\n".join([repo, *parts]).encode()).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError):  # a client that is gone
            self._serve()

    do_HEAD = do_GET  # noqa: N815 (the name that http.server calls)

    def log_message(self, *_: Any) -> None:
        """Tests read `requests` instead."""

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path} {self.headers.get('Range', '')}".strip())
        if self.hub.answer:
            return self._refuse(self.hub.answer)
        match = INFO.fullmatch(path) or TREE.fullmatch(path) or FILE.fullmatch(path)
        if match is None:
            return self._refuse(404)
        repo = match["repo"]
        if repo in self.hub.moved:
            return self._reply(307, b"", {"Location": path.replace(repo, self.hub.moved[repo], 1)})
        files, commit = self.hub.files(repo), self.hub.commit(repo)
        if not files:
            return self._refuse(404, "RepoNotFound")
        if match["revision"] not in (None, "main", commit):
            return self._refuse(404, "RevisionNotFound")
        if match.re is INFO:
            siblings = [{"rfilename": name, "size": file.stat().st_size} for name, file in files.items()]
            return self._reply_json({"id": repo, "modelId": repo, "sha": commit, "siblings": siblings})
        if match.re is TREE:
            entries = [(name, file.stat().st_size, _etag(file)) for name, file in files.items()]
            return self._reply_json([dict(type="file", path=name, size=size, oid=oid) for name, size, oid in entries])
        if match["name"] not in files:
            return self._refuse(404, "EntryNotFound")
        self._send_file(files[match["name"]], commit)

    def _send_file(self, path: Path, commit: str) -> None:
        content = path.read_bytes()
        headers = {"ETag": f'"{_etag(path)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(asked[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._reply(206, content[start:], headers)
        else:
            self._reply(200, content, headers)

    def _reply_json(self, value: Any) -> None:
        self._reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"}, contents=False)

    def _refuse(self, status: int, code: str = "") -> None:
        self._reply(status, b"", {"X-Error-Code": code} if code else {})

    def _reply(self, status: int, body: bytes, headers: dict[str, str], contents: bool = True) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET" and contents:
            self._pour(body)
        elif self.command == "GET":
            self.wfile.write(body)

    def _pour(self, body: bytes) -> None:
        """Send the contents of a file, as fast and as far as the hub is told to."""
        while body:
            if self.hub.break_after is not None and self.hub.sent >= self.hub.break_after:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            speed = self.hub.bytes_per_second
            piece = body[: max(1, speed // 20) if speed else 64 * 1024]
            body = body[len(piece) :]
            self.wfile.write(piece)
            self.hub.sent += len(piece)
            if speed:
                time.sleep(len(piece) / speed)


def _etag(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_tiny_bert(folder: Path, shard_size: str = "1GB") -> None:
    """Fill a repository with what transformers saves of a random BERT (2 layers, 3 heads, width 96; about 1.5 MB).

    shard_size: the largest weight file; a small one ("600KB") makes an index and several shards.
    """
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    letters = [chr(ord("a") + index) for index in range(26)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *letters, *(f"##{letter}" for letter in letters)]
    pieces += ["the", "cat", "sat", "on", "mat"]
    config = BertConfig(
        vocab_size=2600,  # more than the tokenizer knows, for weights that take a moment on a slow line
        hidden_size=96, num_hidden_layers=2, num_attention_heads=3, intermediate_size=160, max_position_embeddings=80,
    )  # fmt: skip
    torch.manual_seed(0)
    model = BertModel(config)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, max_shard_size=shard_size)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)


def main() -> None:
    """Serve a folder until interrupted; the first line written is the address."""
    parser = argparse.ArgumentParser(description=FakeHub.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tiny", metavar="REPO", action="append", default=[], help="put a tiny BERT there first")
    parser.add_argument("--bytes-per-second", type=int)
    parser.add_argument("--break-after", type=int, metavar="BYTES")
    parser.add_argument("--answer", type=int, metavar="STATUS")
    options = vars(parser.parse_args())
    for repo in options.pop("tiny"):
        make_tiny_bert(options["folder"] / repo)
    with FakeHub(**options) as hub:
        sys.stdout.write(f"{hub.url}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
