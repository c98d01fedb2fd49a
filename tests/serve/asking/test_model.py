from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rs2sam.errors import InvalidInputError
from rs2sam.serve.asking.model import ModelThread, SharedSegmenter
from rs2sam.serve.metrics import Metrics
from rs2sam.serve.problems import ProblemError
from tests.make_rasters import SCENE, objects
from tests.serve.live import RedModel


@pytest.fixture
def model():
    return RedModel(batch_size=4)


@pytest.fixture
def thread(model):
    running = ModelThread(model, Metrics())
    yield running
    model.may_answer.set()
    running.stop()


def asked_together(thread, model, sentences, lanes=None):
    """What each of several users gets who ask while the model is busy with another; and its batches after that."""
    model.may_answer.clear()
    with ThreadPoolExecutor(len(sentences) + 1) as users:
        first = users.submit(SharedSegmenter(thread, "question").segment, SCENE, "the first")
        while thread.num_waiting or not users._work_queue.empty() or not first.running():
            time.sleep(0.005)
        time.sleep(0.05)
        waiting = []
        for number, (sentence, lane) in enumerate(
            zip(sentences, lanes or ["question"] * len(sentences), strict=True), 1
        ):
            waiting.append(users.submit(SharedSegmenter(thread, lane).segment, SCENE, sentence))
            while thread.num_waiting < number:
                time.sleep(0.005)
        model.may_answer.set()
        results = [one.exception() or one.result() for one in waiting]
    return results, model.batches[1:]


def test_views_of_several_users_are_one_batch(thread, model):
    results, batches = asked_together(thread, model, ["red"] * 5)
    assert batches == [4, 1]
    for result in results:
        np.testing.assert_array_equal(result.mask, objects())


def test_one_that_fails_breaks_nothing_of_anothers(thread, model):
    results, _ = asked_together(thread, model, ["red", "a wrong one", "no red"])
    np.testing.assert_array_equal(results[0].mask, objects())
    assert isinstance(results[1], InvalidInputError)
    assert (results[2].sentence, results[2].mask.any()) == ("no red", False)


def test_questions_go_before_scenes_which_get_their_turn_all_the_same():
    model = RedModel(batch_size=1)
    order = []
    answer = model._run
    model._run = lambda pairs, size_hw: (order.extend(sentence for _, sentence in pairs), answer(pairs, size_hw))[1]
    thread = ModelThread(model, Metrics())
    asked_together(thread, model, ["tile"] * 2 + ["question"] * 20, ["scene"] * 2 + ["question"] * 20)
    thread.stop()
    assert order.index("tile") in (8, 9)
    assert order[1] == "question"
    assert sorted(order) == sorted(["the first"] + ["tile"] * 2 + ["question"] * 20)


def test_who_waits_when_the_service_ends_is_told():
    model = RedModel(batch_size=1)
    thread = ModelThread(model, Metrics())
    model.may_answer.clear()
    with ThreadPoolExecutor(2) as users:
        answered = users.submit(SharedSegmenter(thread, "question").segment, SCENE, "red")
        assert model.is_asked.wait(20)
        waiting = users.submit(SharedSegmenter(thread, "question").segment, SCENE, "red")
        while thread.num_waiting != 1:
            time.sleep(0.005)
        stopping = threading.Thread(target=thread.stop)
        stopping.start()
        while not thread._is_stopped:
            time.sleep(0.005)
        model.may_answer.set()
        stopping.join()
    assert answered.exception() is None
    assert isinstance(waiting.exception(), ProblemError)
    with pytest.raises(ProblemError, match="The service ends"):
        thread.run([], None, "question")
