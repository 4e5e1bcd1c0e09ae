"""More actors while words come late, fewer when they have come soon for long."""

from pipelines.live_graph.scaling import Need


def changes(lags: list[float]) -> list[int]:
    need = Need()
    return [need.after(lag) for lag in lags]


def test_three_late_checks_in_a_row_hire_and_three_more_hire_again() -> None:
    assert changes([2.0] * 7) == [0, 0, 1, 0, 0, 1, 0]


def test_a_jam_that_clears_hires_nobody() -> None:
    assert not any(changes([2.0, 2.0, 0.5, 2.0, 2.0, 0.5]))


def test_a_minute_of_prompt_words_dismisses_one_and_a_late_one_begins_it_anew() -> None:
    assert changes([0.1] * 60) == [0] * 59 + [-1]
    assert not any(changes([0.1] * 59 + [0.5] + [0.1] * 59))
