"""The store that all learners share: bounded, made once, and fair when something goes wrong."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pages.shared.store import Store


def store_of(capacity=10):
    return Store(capacity, len)


def fail(error):
    raise error


def never():
    raise AssertionError("made again")


def test_a_value_is_made_once_and_then_kept():
    store = store_of()
    value = store.get("key", lambda: "value")
    assert store.get("key", never) is value
    assert (store.peek("key"), store.peek("other")) == (value, None)


def test_different_keys_hold_different_values():
    store = store_of()
    assert [store.get(key, lambda key=key: str(key)) for key in (1, (1, "cpu"), (1, "cuda"))] == [
        "1", "(1, 'cpu')", "(1, 'cuda')",
    ]  # fmt: skip


def test_the_size_in_use_is_the_sum_of_what_is_kept():
    store = store_of(10)
    for number, size in enumerate([3, 4, 0, 3, 5, 1, 10, 2]):
        store.get(number, lambda size=size: "x" * size)
        kept = [store.peek(key) for key in range(number + 1) if store.peek(key) is not None]
        assert store.used == sum(map(len, kept)) <= store.capacity
    assert [key for key in range(8) if store.peek(key) is not None] == [7]


def test_the_least_recently_used_leaves_first():
    store = store_of(3)
    for key in "abc":
        store.get(key, lambda key=key: key)
    store.get("a", never)
    store.get("d", lambda: "d")
    assert [key for key in "abcd" if store.peek(key)] == ["a", "c", "d"]


def test_a_peek_is_no_use():
    store = store_of(2)
    for key in "ab":
        store.get(key, lambda key=key: key)
    store.peek("a")
    store.get("c", lambda: "c")
    assert [key for key in "abc" if store.peek(key)] == ["b", "c"]


def test_what_has_left_is_made_again():
    store = store_of(1)
    assert store.get("a", lambda: "1") == "1"
    store.get("b", lambda: "2")
    assert store.get("a", lambda: "3") == "3"


def test_a_value_as_large_as_the_store_pushes_all_others_out():
    store = store_of(3)
    for key in "ab":
        store.get(key, lambda key=key: key)
    store.get("large", lambda: "xxx")
    assert (store.used, store.peek("a"), store.peek("b"), store.peek("large")) == (3, None, None, "xxx")


def test_a_value_larger_than_the_store_is_returned_but_not_kept_and_pushes_nothing_out():
    store = store_of(3)
    store.get("a", lambda: "a")
    assert store.get("large", lambda: "xxxx") == "xxxx"
    assert (store.used, store.peek("a"), store.peek("large")) == (1, "a", None)


def together(count, work):
    """Run work(number) in that many threads at once; what each returns or raises, in order."""
    start = threading.Barrier(count)

    def run(number):
        start.wait(timeout=30)
        try:
            return work(number)
        except BaseException as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


class Key:
    """A key that knows who has asked for it: the store looks it up under its lock before anybody waits."""

    def __init__(self):
        self.asked_by, self.made_by = set(), []

    def __hash__(self):
        self.asked_by.add(threading.get_ident())
        return 1

    def make(self, result):
        """Something that is ready only when eight have asked for it."""
        self.made_by.append(threading.get_ident())
        until = time.monotonic() + 30
        while len(self.asked_by) < 8 and time.monotonic() < until:
            time.sleep(0.005)
        return result()


def test_eight_who_ask_at_once_get_the_same_value_made_once():
    store, key = store_of(), Key()
    values = together(8, lambda _: store.get(key, lambda: key.make(lambda: ["value"])))
    assert len(key.made_by) == 1
    assert all(value is values[0] for value in values)
    assert store.used == 1


def test_eight_who_ask_for_different_things_do_not_wait_for_each_other():
    store, here = store_of(), threading.Barrier(8)

    def make(number):
        here.wait(timeout=30)  # passes only when all eight are being made at the same time
        return str(number)

    assert together(8, lambda number: store.get(number, lambda: make(number))) == [str(number) for number in range(8)]
    assert store.used == 8


def test_what_is_kept_is_given_out_while_something_else_is_being_made():
    store, begun, go_on = store_of(), threading.Event(), threading.Event()
    store.get("kept", lambda: "kept")

    def make():
        begun.set()
        assert go_on.wait(30)
        return "late"

    maker = threading.Thread(target=store.get, args=("late", make))
    maker.start()
    assert begun.wait(30)
    assert (store.get("kept", never), store.peek("late")) == ("kept", None)
    go_on.set()
    maker.join()
    assert store.peek("late") == "late"


def test_an_error_reaches_everybody_who_waits_and_is_not_kept():
    store, key, error = store_of(), Key(), ValueError("too short")
    found = together(8, lambda _: store.get(key, lambda: key.make(lambda: fail(error))))
    assert len(key.made_by) == 1
    assert all(one is error for one in found)
    assert (store.peek(key), store.used) == (None, 0)
    assert store.get(key, lambda: "value") == "value"


def test_a_maker_whose_own_turn_is_stopped_takes_nobody_with_it():
    # Streamlit ends a turn by raising a BaseException that carries that learner's own widgets: the others wait on.
    class Stopped(BaseException):
        pass

    store, key = store_of(), Key()

    def stopped_at_first():
        return fail(Stopped()) if len(key.made_by) == 1 else "value"

    found = together(8, lambda _: store.get(key, lambda: key.make(stopped_at_first)))
    assert sorted(type(one).__name__ for one in found) == ["Stopped", *["str"] * 7]
    assert len(key.made_by) == 2
    assert store.peek(key) == "value"


def test_many_threads_leave_the_accounting_exact():
    store = store_of(20)

    def work(number):
        for step in range(300):
            size = (number * 7 + step * 5) % 13
            assert len(store.get(size, lambda size=size: "x" * size)) == size

    assert together(8, work) == [None] * 8
    assert store.used == sum(size for size in range(13) if store.peek(size) is not None) <= 20


@pytest.mark.parametrize("value", [None, 0, "", False])
def test_what_counts_as_false_is_kept_too(value):
    store = Store(3, lambda value: 1)
    assert store.get("key", lambda: value) is value
    assert store.get("key", never) is value
