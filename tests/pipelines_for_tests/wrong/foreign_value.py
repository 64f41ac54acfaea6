from orchestration import pipeline, value, when
from tests.pipelines_for_tests.steps import add, start

_kept = []


@pipeline
def first():
    _kept.append(value(start(1), "n"))


@pipeline
def foreign_value():
    if not _kept:
        first.graph({})
    with when(_kept[0] > 3):
        add(start(2))
