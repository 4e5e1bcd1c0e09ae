import os
from dataclasses import replace
from pathlib import Path

import pytest

from asr.evaluation.answers import Answer
from asr.evaluation.datasets import read_datasets
from asr.evaluation.datasets.reference import Problem
from pipelines.batch import evaluation
from pipelines.batch.evaluation import Examiner, Question
from pipelines.recognise_references import EngineChoice, recognise
from tests.pipelines.bundles import save_nonsense
from tests.recordings import AUDIO

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning:ray.*")


class Mortal(Examiner):
    """Dies of one recording."""

    def transcribe(self, question: Question) -> Answer | Problem:
        if "commonvoice-sample-000323" in question.name:
            os._exit(9)
        return super().transcribe(question)


@pytest.mark.usefixtures("ray_here")
def test_workers_that_die_leave_problems_and_all_other_answers_are_those_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = EngineChoice(str(save_nonsense(tmp_path / "nonsense")), "cpu", "fp32", "greedy")
    datasets = read_datasets(AUDIO / "manifest.jsonl")
    alone = recognise(datasets, engine, workers=1)
    monkeypatch.setattr(evaluation, "Examiner", Mortal)
    found = recognise(datasets, engine, workers=2)
    expected = [replace(x, wall_s=None) for x in alone.answers if "commonvoice-sample-000323" not in x.id]
    assert [replace(x, wall_s=None) for x in found.answers] == expected
    assert len(expected) == 7
    problems = [x for x in found.problems if x not in alone.problems]
    assert [("commonvoice-sample-000323" in x.id, "2 workers died" in x.detail, x.is_failure) for x in problems] == [
        (True, True, True)
    ]
