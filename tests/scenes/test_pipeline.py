from __future__ import annotations

import threading

import pytest

from rs2sam.scenes.pipeline import read_ahead, write_behind


def test_items_come_in_order_from_another_thread():
    threads = set()

    def count():
        for number in range(50):
            threads.add(threading.current_thread().name)
            yield number

    with read_ahead(count(), 3) as items:
        assert list(items) == list(range(50))
    assert threads == {"rs2sam-reader"}


def test_no_more_is_read_ahead_than_the_depth():
    read = []

    def count():
        for number in range(50):
            read.append(number)
            yield number

    with read_ahead(count(), 3) as items:
        for number in items:
            assert len(read) <= number + 3 + 2
            if number == 10:
                break
    assert len(read) < 20
    assert threading.active_count() == 1 or not any(t.name == "rs2sam-reader" for t in threading.enumerate())


def test_an_error_of_the_reader_comes_out_where_the_item_would_have():
    def fail():
        yield 1
        raise OSError("the disk is gone")

    with read_ahead(fail(), 2) as items:
        assert next(items) == 1
        with pytest.raises(OSError, match="disk is gone"):
            next(items)


def test_items_are_written_in_order_by_another_thread():
    written, threads = [], set()

    def write(item):
        threads.add(threading.current_thread().name)
        written.append(item)

    write_behind(range(50), write, 3)
    assert written == list(range(50))
    assert threads == {"rs2sam-writer"}


def test_an_error_of_the_writer_stops_the_work():
    asked = []

    def work():
        for number in range(1000):
            asked.append(number)
            yield number

    def write(item):
        if item == 5:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_behind(work(), write, 2)
    assert len(asked) < 20


def test_an_error_of_the_work_ends_the_writer():
    def work():
        yield 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_behind(work(), lambda item: None, 2)
    assert not any(thread.name == "rs2sam-writer" for thread in threading.enumerate())
