from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, start

_kept = []


@pipeline
def first():
    _kept.append(start(1))


@pipeline
def other_pipeline():
    if not _kept:
        first.graph({})
    add(_kept[0])
