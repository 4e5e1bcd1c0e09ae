"""Readers of test sets: every kind of folder or file that people keep recordings and their words in."""

from asr.evaluation.datasets.read import READERS, read_datasets, with_own_names
from asr.evaluation.datasets.reference import Dataset, Problem, Reference

__all__ = ["READERS", "Dataset", "Problem", "Reference", "read_datasets", "with_own_names"]
