import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from asr.cutting import Cut
from asr.decoding.words import Utterance, Word
from asr.finals import MOST_BEGUN, Finals
from asr.segments import Span


def cut(number: int) -> Cut:
    return Cut(Span(10 * number, 10 * number + 5, speech=True), np.full(5, number, np.float32))


class Listener:
    """Says each cut's number, once the gate is open; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.gate = threading.Event()

    def __call__(self, cuts: Sequence[Cut], alone: bool) -> list[Utterance]:
        self.asked.append([int(x.samples[0]) for x in cuts])
        assert self.gate.wait(10)
        return [Utterance(0.0, 1.0, (Word(str(int(x.samples[0])), 0.0, 1.0, 1.0),), ()) for x in cuts]


def finals_of(listener: Listener, workers: int = 2, *, together: bool = False) -> Finals:
    return Finals(listener, ThreadPoolExecutor(workers), together=together)


def test_what_was_begun_is_not_done_again_and_comes_in_the_order_asked_for() -> None:
    listener = Listener()
    finals = finals_of(listener)
    finals.begin([cut(1), cut(2)])
    finals.begin([cut(2)])
    listener.gate.set()
    assert [x.text for x in finals.fetch([cut(3), cut(2), cut(1), cut(2)])] == ["3", "2", "1", "2"]
    assert sorted(listener.asked) == [[1], [2], [3]]


def test_what_was_fetched_or_never_begun_is_recognised_to_the_same_words() -> None:
    listener = Listener()
    listener.gate.set()
    finals = finals_of(listener)
    finals.begin([cut(7)])
    first = finals.fetch([cut(7)])
    assert first == finals.fetch([cut(7)]) == finals_of(listener).fetch([cut(7)])
    assert finals.fetch([]) == []


def test_cuts_that_come_together_are_one_piece_of_work_where_that_is_wanted() -> None:
    listener = Listener()
    listener.gate.set()
    assert [x.text for x in finals_of(listener, together=True).fetch([cut(1), cut(2)])] == ["1", "2"]
    assert listener.asked == [[1, 2]]


def test_what_is_begun_in_vain_takes_no_more_room_than_it_may() -> None:
    listener = Listener()
    finals = finals_of(listener, workers=1)
    for number in range(MOST_BEGUN + 50):
        finals.begin([cut(number)])
    listener.gate.set()
    last = MOST_BEGUN + 49
    assert finals.fetch([cut(last)])[0].text == str(last)
    assert len(listener.asked) <= MOST_BEGUN + 1  # those pushed out before their turn were never done
    assert finals.fetch([cut(5)])[0].text == "5"


def test_what_is_waited_for_is_never_thrown_away_however_much_is_begun() -> None:
    for together in (False, True):
        listener = Listener()
        finals = finals_of(listener, 1, together=together)
        finals.begin([cut(0)])  # keeps the only worker
        finals.begin([cut(1), cut(2)])
        with ThreadPoolExecutor(1) as other:
            waiting = other.submit(finals.fetch, [cut(1)])
            finals.begin([cut(number) for number in range(10, 10 + MOST_BEGUN)])
            listener.gate.set()
            assert [x.text for x in waiting.result(60)] == ["1"]
        many = [cut(number) for number in range(1000, 1005 + MOST_BEGUN)]
        assert [x.text for x in finals.fetch(many)] == [str(number) for number in range(1000, 1005 + MOST_BEGUN)]
