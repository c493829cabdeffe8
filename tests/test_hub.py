"""Downloads from the Hub, against the fake one: what is fetched, what is told, and what is kept."""

import errno
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from encoder import hub
from tests.fake_hub import FakeHub, make_tiny_bert

ONE, MANY = "school/one-file", "school/many-shards"
TINY = {"config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "model.safetensors"}
UNWANTED = (
    "pytorch_model.bin", "model.pt", "flax_model.msgpack", "modeling_bert.py", "onnx/model.onnx",
    "model.fp16.safetensors", "adapter_model.safetensors", "README.md", "1_Pooling/config.json",
)  # fmt: skip


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two repositories, with files beside the model that nobody should fetch."""
    folder = tmp_path_factory.mktemp("shelf")
    make_tiny_bert(folder / ONE)
    make_tiny_bert(folder / MANY, shard_size="600KB")
    for name in UNWANTED:
        path = folder / ONE / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not this one")
    return folder


@pytest.fixture
def fake(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with FakeHub(shelf) as running:
        _turn_to(running.url, tmp_path / "cache", monkeypatch)
        yield running


def _turn_to(url: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT and HF_HOME do to a new process (they are read at import), and no memory of other tests."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_downloads", {})
    # The library waits a second before each of its five tries; a test need not.
    _instead_of_waiting(lambda: None, monkeypatch)


def _instead_of_waiting(act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = namedtuple("Clock", "sleep")(lambda seconds: act())
    monkeypatch.setattr("huggingface_hub.file_download.time", clock)


def _fetch(repo: str) -> hub.Download:
    download = hub.start_download(repo)
    download.join(20)
    assert download.finished
    return download


def _copy(shelf: Path, name: str) -> Path:
    shutil.copytree(shelf / ONE, shelf / name, dirs_exist_ok=True)
    return shelf / name


def test_a_repository_nobody_fetched_is_not_cached_and_asks_no_network(fake: FakeHub) -> None:
    assert hub.cached(ONE) is None
    assert hub.running(ONE) is None
    assert fake.requests == []


@pytest.mark.parametrize("repo", ["", "../..", "a\0b", "x" * 5000])
def test_a_strange_name_is_simply_not_cached(fake: FakeHub, repo: str) -> None:
    assert hub.cached(repo) is None


def test_a_download_brings_exactly_the_model_and_its_tokenizer(fake: FakeHub, shelf: Path) -> None:
    download = _fetch(ONE)
    assert download.error is None
    assert download.folder == hub.cached(ONE)
    assert {path.name for path in download.folder.iterdir()} == TINY
    assert all((download.folder / name).read_bytes() == (shelf / ONE / name).read_bytes() for name in TINY)


def test_a_model_in_several_weight_files_comes_whole(fake: FakeHub) -> None:
    folder = _fetch(MANY).folder
    assert len(list(folder.glob("model-*-of-00003.safetensors"))) == 3
    (folder / "model-00002-of-00003.safetensors").unlink()
    assert hub.cached(MANY) is None
    assert _fetch(MANY).folder == folder == hub.cached(MANY)


def _damaged(weights: Path, how: str) -> None:
    content = weights.read_bytes()
    damages = {"cut": content[:-1], "longer": content + b"x", "empty": b"", "zeros": bytes(len(content))}
    weights.write_bytes(damages[how])  # into the file itself, wherever a link in the snapshot leads


@pytest.mark.parametrize("how", ["cut", "longer", "empty", "zeros"])
@pytest.mark.parametrize(("repo", "name"), [(ONE, "model.safetensors"), (MANY, "model-00002-of-00003.safetensors")])
def test_weights_that_are_not_whole_are_not_cached_and_fetched_again(
    fake: FakeHub, shelf: Path, repo: str, name: str, how: str
) -> None:
    folder = _fetch(repo).folder
    _damaged(folder / name, how)
    assert hub.cached(repo) is None
    fake.requests.clear()
    again = _fetch(repo)
    assert again.error is None
    assert again.folder == folder == hub.cached(repo)
    assert (folder / name).read_bytes() == (shelf / repo / name).read_bytes()
    fetched = [line for line in fake.requests if line.startswith("GET") and "/resolve/" in line]
    assert len(fetched) == 1, "only the file that was damaged is fetched again"


def test_a_damaged_file_that_is_no_link_is_fetched_again_too(fake: FakeHub, shelf: Path) -> None:
    weights = _fetch(ONE).folder / "model.safetensors"
    weights.unlink()
    weights.write_bytes(b"brought by hand on a full stick")
    assert _fetch(ONE).error is None
    assert weights.read_bytes() == (shelf / ONE / weights.name).read_bytes()


def test_a_hub_that_has_only_damaged_weights_is_told(fake: FakeHub, shelf: Path) -> None:
    _damaged(_copy(shelf, "school/damaged") / "model.safetensors", "cut")
    assert _fetch("school/damaged").error == "The weights of “school/damaged” are not complete on the Hugging Face Hub."


def test_what_was_fetched_is_found_by_the_transformers_library_too(fake: FakeHub) -> None:
    from transformers import AutoTokenizer, BertModel

    _fetch(ONE)
    cache = {"cache_dir": constants.HF_HUB_CACHE, "local_files_only": True}
    assert BertModel.from_pretrained(ONE, **cache).config.hidden_size == 96
    assert "cat" in AutoTokenizer.from_pretrained(ONE, **cache).tokenize("the cat")


def test_progress_only_rises_and_ends_at_the_total(fake: FakeHub) -> None:
    fake.bytes_per_second = 1_500_000
    download = hub.start_download(ONE)
    seen = []
    while not download.finished:
        seen.append((download.received, download.total))
        time.sleep(0.01)
    received = [count for count, _ in seen]
    assert received == sorted(received)
    assert len(set(received)) >= 5, "a bar that jumps is no progress"
    total = sum((fake.folder / ONE / name).stat().st_size for name in TINY)
    assert {known for _, known in seen} <= {0, total}
    assert (download.received, download.total) == (total, total)


def test_many_clicks_at_once_make_one_download(fake: FakeHub) -> None:
    fake.bytes_per_second = 3_000_000
    together, got = threading.Barrier(7), []

    def click() -> None:
        together.wait()
        got.append(hub.start_download(ONE))

    learners = [threading.Thread(target=click) for _ in range(7)]
    for learner in learners:
        learner.start()
    for learner in learners:
        learner.join()
    assert len(got) == 7
    assert len(set(map(id, got))) == 1
    assert hub.running(ONE) is got[0]
    got[0].join(20)
    assert sum(line.startswith("GET") and "model.safetensors" in line for line in fake.requests) == 1
    assert hub.start_download(ONE) is got[0], "a finished one is not started again"


def test_what_is_on_disk_already_is_given_without_the_network(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _fetch(ONE).folder
    monkeypatch.setattr(hub, "_downloads", {})  # as after a restart
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    fake.requests.clear()
    assert _fetch(ONE).folder == folder
    assert fake.requests == []


def test_a_line_that_breaks_is_told_and_a_second_click_finishes(fake: FakeHub) -> None:
    fake.break_after = 700_000
    broken = _fetch(ONE)
    assert broken.error.startswith("The connection to the Hugging Face Hub broke off; try again")
    assert broken.folder is None
    assert hub.cached(ONE) is None
    assert 500_000 < broken.received < broken.total

    fake.break_after = None
    fake.requests.clear()
    again = _fetch(ONE)
    assert again is not broken
    assert again.error is None
    assert again.folder == hub.cached(ONE)
    fetched = [line for line in fake.requests if line.startswith("GET") and "/resolve/" in line]
    assert len(fetched) == 1, "only the file that was cut is fetched again"


def test_a_line_that_breaks_once_is_taken_up_where_it_broke(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    _instead_of_waiting(lambda: setattr(fake, "break_after", None), monkeypatch)
    fake.break_after = 700_000
    download = _fetch(ONE)
    assert download.error is None
    assert download.received == download.total
    assert sum("bytes=" in line for line in fake.requests) == 1


def test_a_repository_that_is_not_there_is_named(fake: FakeHub) -> None:
    assert _fetch("school/nothing").error == "There is no public model “school/nothing” on the Hugging Face Hub."


@pytest.mark.parametrize(
    ("status", "told"),
    [*((code, "no public model") for code in (401, 403, 404)), (500, "error 500"), (503, "error 503")],
)
def test_a_hub_that_refuses_is_told_in_one_sentence(fake: FakeHub, status: int, told: str) -> None:
    fake.answer = status
    error = _fetch(ONE).error
    assert told in error
    assert "\n" not in error
    fake.answer = None
    assert _fetch(ONE).folder


def test_a_login_page_in_the_way_is_recognised(fake: FakeHub) -> None:
    fake.answer = 200  # and an empty page
    assert "log-in page" in _fetch(ONE).error


def test_a_name_the_hub_cannot_have_is_told(fake: FakeHub) -> None:
    assert "is not a name on the Hugging Face Hub" in _fetch("bert base, please").error
    assert fake.requests == []


def test_an_old_name_leads_to_the_new_one(fake: FakeHub) -> None:
    fake.moved = {"one-file": ONE}
    assert _fetch("one-file").folder == hub.cached("one-file")


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ({"model.safetensors"}, "no safetensors weights"),
        ({"config.json"}, "no config.json"),
        ({"tokenizer.json", "vocab.txt"}, "no tokenizer files"),
    ],
)
def test_a_repository_without_a_needed_part_fetches_nothing(
    fake: FakeHub, shelf: Path, missing: set[str], told: str
) -> None:
    home = _copy(shelf, "school/partial")
    for name in missing:
        (home / name).unlink()
    assert told in _fetch("school/partial").error
    assert not [line for line in fake.requests if "/resolve/" in line]


def test_a_full_disk_is_told_before_anything_is_fetched(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda path: namedtuple("Usage", "free")(1_000_000))
    assert _fetch(ONE).error == f"There is not enough disk space on this server; “{ONE}” takes 2 MB."
    assert not [line for line in fake.requests if "/resolve/" in line]


def test_a_disk_that_fills_up_on_the_way_is_told(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    assert "not enough disk space" in _fetch(ONE).error


def test_a_cache_that_cannot_be_written_is_told(fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")  # a test that runs as root may write anywhere

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert "may not write" in _fetch(ONE).error


def test_a_hub_that_refuses_connections_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but nobody listens
        _turn_to(f"http://127.0.0.1:{unused.getsockname()[1]}", tmp_path, monkeypatch)
        download = hub.start_download(ONE)
        download.join(10)
    assert download.error == "The Hugging Face Hub cannot be reached from this server; is there internet?"


def test_a_hub_that_never_answers_is_told_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        _turn_to(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path, monkeypatch)
        assert "cannot be reached" in _fetch(ONE).error


def test_a_name_look_up_that_hangs_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.3)
    _turn_to("http://hub.invalid", tmp_path, monkeypatch)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3))  # no time-out reaches in there
    download = hub.start_download(ONE)
    download.join(2)
    assert "cannot be reached" in download.error


def test_a_server_set_to_work_offline_says_so(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "set to work without internet" in _fetch(ONE).error
    assert fake.requests == []


def test_a_process_obeys_the_usual_environment_and_loads_nothing_heavy(fake: FakeHub, tmp_path: Path) -> None:
    script = (
        "import sys; from encoder import hub\n"
        "assert 'huggingface_hub' not in sys.modules\n"
        f"download = hub.start_download({ONE!r}); download.join(20); assert download.error is None, download.error\n"
        "assert not {'torch', 'transformers', 'streamlit'} & set(sys.modules)\n"
        "sys.stdout.write(str(download.folder))"
    )
    environment = {**os.environ, "HF_ENDPOINT": fake.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    environment.pop("HF_HUB_CACHE", None)
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout).is_relative_to(tmp_path / "home")
    assert {path.name for path in Path(done.stdout).iterdir()} == TINY
    assert done.stderr == "", "no progress bars in a server's log"
