"""Models from the Hugging Face Hub: what is on this machine already, and downloads that run in the background.

Only safetensors weights, config.json and tokenizer files are ever fetched, never pickles and never code.
Nothing here asks the network before `start_download`.
"""

import errno
import json
import logging
import os
import queue
import re
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open

from encoder.catalogue import WEIGHTS
from encoder.errors import ModelError
from encoder.folders import INDEX, check_header, read_json
from encoder.jobs import Job

ANSWER_SECONDS = 8  # how long the Hub may take to say what a repository holds
STEP = 256 * 1024  # bytes: the library's own 10 MB would let a school's line look stuck for half a minute

SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
# Any one of these sets makes a tokenizer; the others only add to it.
TOKENIZERS = ({"tokenizer.json"}, {"vocab.txt"}, {"vocab.json", "merges.txt"}, {"sentencepiece.bpe.model"})
TOKENIZER_FILES = set().union(*TOKENIZERS, {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"})

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Download(Job):
    """One download of one repository, shared by everybody who asked for it; any thread may read it.

    received, total: bytes, total 0 while unknown. At the end either `folder` is set, or `error` is: one plain sentence.
    """

    def __init__(self, repo: str) -> None:
        super().__init__()
        self.repo = repo
        self.received = 0
        self.total = 0
        self.folder: Path | None = None


_downloads: dict[str, Download] = {}
_lock = threading.Lock()


def cached(repo: str) -> Path | None:
    """The folder of a repository that is complete on this machine, or None. Never asks the network."""
    home = _home(repo)
    try:
        folder = home / "snapshots" / (home / "refs" / "main").read_text().strip()
        names = {path.name for path in folder.iterdir() if path.is_file()}  # a link to a missing file is none
        shards = _shards(folder, names)
        complete = {"config.json", *shards} <= names and _makes_tokenizer(names)
        complete = complete and all(_is_whole(folder / shard) for shard in shards)
    except Exception:  # other programs write there too: whatever is wrong, the model is not to be had
        return None
    return folder if complete else None


def start_download(repo: str) -> Download:
    """Fetch a repository in the background; a second call joins the first. Returns at once.

    After an error a new call tries again: files that arrived whole are kept, one cut in the middle starts over
    (huggingface_hub 2.4 resumes a broken connection, but not a download it has given up).
    """
    with _lock:
        known = _downloads.get(repo)
        if known and (not known.finished or (known.folder and cached(repo))):
            return known
        download = _downloads[repo] = Download(repo)
    threading.Thread(target=_run, args=(download,), name=f"download {repo}", daemon=True).start()
    return download


def running(repo: str) -> Download | None:
    """The latest download of a repository in this process, under way or over; None if nobody asked for one."""
    return _downloads.get(repo)


def _run(download: Download) -> None:
    try:
        download.folder = cached(download.repo) or _fetch(download)
    except Exception as trouble:  # whatever it is, somebody in front of a progress bar is waiting to be told
        log.warning("download of %s failed", download.repo, exc_info=True)
        download.error = _sentence(trouble, download)
    finally:
        download.end()


def _fetch(download: Download) -> Path:
    """All files of one commit, the small ones first, into the Hub's own cache."""
    from huggingface_hub import HfApi, constants  # 0.4 s to import: only a download pays for it

    constants.HF_HUB_DISABLE_TELEMETRY = True
    constants.DOWNLOAD_CHUNK_SIZE = STEP
    # Xet, the faster protocol, takes four minutes to notice that its server refuses (measured, hf_xet 1.8).
    constants.HF_HUB_DISABLE_XET = True

    repo, home = download.repo, _home(download.repo)
    api = HfApi(library_name="encoder-lens")
    info = _within(ANSWER_SECONDS, lambda: api.model_info(repo, files_metadata=True, timeout=ANSWER_SECONDS))
    sizes = _wanted(repo, {file.rfilename: file.size or 0 for file in info.siblings or ()})
    commit = str(info.sha)
    download.total = sum(sizes.values())
    _make_room(home, sum(size for name, size in sizes.items() if not (home / "snapshots" / commit / name).exists()))

    arrived = 0
    for name, size in sizes.items():
        fetch = partial(api.hf_hub_download, repo, name, revision=commit, tqdm_class=_bar(download, arrived))
        file = Path(fetch())
        if file.suffix == ".safetensors" and not _is_whole(file):  # it was here already, and the library would keep it
            file.resolve().unlink()
            fetch()
        arrived += size
        download.received = arrived
    # Last, so that nobody takes a half-filled folder for the model.
    _write_whole(home / "refs" / "main", commit)
    folder = cached(repo)
    if folder is None:
        raise ModelError(f"The weights of “{repo}” are not complete on the Hugging Face Hub.")
    return folder


def _wanted(repo: str, sizes: dict[str, int]) -> dict[str, int]:
    """The files worth fetching, of all those at the top of a repository, with their bytes."""
    if "config.json" not in sizes:
        raise ModelError(f"“{repo}” has no config.json, so it is not a model that can be loaded.")
    if not _makes_tokenizer(set(sizes)):
        raise ModelError(f"“{repo}” has no tokenizer files, so its model could not read a sentence.")
    shards = sorted(name for name in sizes if name == INDEX or SHARD.fullmatch(name))
    weights = [WEIGHTS] if WEIGHTS in sizes else shards
    if not weights or weights == [INDEX]:
        raise ModelError(f"“{repo}” has no safetensors weights, the only kind that is safe to load.")
    return {name: sizes[name] for name in ["config.json", *sorted(TOKENIZER_FILES & set(sizes)), *weights]}


def _makes_tokenizer(names: set[str]) -> bool:
    return any(needed <= names for needed in TOKENIZERS)


def _shards(folder: Path, names: set[str]) -> set[str]:
    """The weight files that a folder must hold to be complete."""
    return {WEIGHTS} if WEIGHTS in names else set(read_json(folder / INDEX, folder.name)["weight_map"].values())


def _is_whole(weights: Path) -> bool:
    """Whether a safetensors file is as long as its header says; no more than the header is read."""
    try:
        check_header(weights, weights.name)
        with safe_open(weights, framework="np"):
            return True
    except (OSError, SafetensorError, ModelError):
        return False


def _home(repo: str) -> Path:
    """Where the Hub's cache keeps a repository: refs/main names the commit, snapshots/<commit> holds its files."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"


def _make_room(home: Path, missing: int) -> None:
    home.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(home).free) < missing:
        raise OSError(errno.ENOSPC, f"{missing} bytes to come, {free} free")


def _write_whole(path: Path, text: str) -> None:
    """Write a file that another process may be reading: it sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)


def _bar(download: Download, arrived: int) -> Any:
    """The class huggingface_hub makes its progress bars of: this one shows nothing and counts for `download`."""

    class Bar:
        def __init__(self, *, initial: int = 0, **_: Any) -> None:
            self.count = initial

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: Any) -> None: ...

        def update(self, step: int) -> None:
            self.count += step  # negative when a server makes the library start a file again
            download.received = max(download.received, arrived + self.count)

    return Bar


def _within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """What `ask` answers, or TimeoutError: the client's own time-out starts anew for each address of a name."""
    answers: queue.SimpleQueue[tuple[Answer | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((ask(), None))
        except Exception as trouble:
            answers.put((None, trouble))

    threading.Thread(target=run, daemon=True).start()
    try:
        answer, trouble = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if trouble:
        raise trouble
    return answer  # type: ignore[return-value]  # no trouble, so an answer


def _sentence(trouble: Exception, download: Download) -> str:
    """What went wrong, for a teacher in front of a class."""
    from httpx2 import TransportError
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    from huggingface_hub.errors import OfflineModeIsEnabled as Offline

    repo = download.repo
    if isinstance(trouble, LocalEntryNotFoundError) and isinstance(trouble.__cause__, Exception):
        trouble = trouble.__cause__  # "not on disk either"; what matters is why the Hub did not give it
    match trouble:
        case ModelError():
            return str(trouble)
        case Offline():
            return "This server is set to work without internet (HF_HUB_OFFLINE), so nothing can be downloaded."
        case HFValidationError():
            return f"“{repo}” is not a name on the Hugging Face Hub; those look like “google-bert/bert-base-uncased”."
        case GatedRepoError():
            return f"“{repo}” is given only to people who have accepted its licence on the Hugging Face Hub."
        case HfHubHTTPError() if trouble.response.status_code in (401, 403, 404):
            return f"There is no public model “{repo}” on the Hugging Face Hub."
        case HfHubHTTPError():
            return (
                f"The Hugging Face Hub has trouble of its own (error {trouble.response.status_code}); try again later."
            )
        case TransportError() | TimeoutError() | ConnectionError() if download.total:
            return "The connection to the Hugging Face Hub broke off; try again, what has arrived whole is kept."
        case TransportError() | TimeoutError() | ConnectionError():
            return "The Hugging Face Hub cannot be reached from this server; is there internet?"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return f"There is not enough disk space on this server; “{repo}” takes {download.total / 1e6:,.0f} MB."
        case OSError(errno=errno.EACCES | errno.EPERM | errno.EROFS):
            return "This server may not write to its folder for downloaded models (HF_HOME)."
        case json.JSONDecodeError():
            return "Something else than the Hugging Face Hub answered, perhaps the log-in page of this network."
    return f"The download of “{repo}” failed ({type(trouble).__name__}); try again."
