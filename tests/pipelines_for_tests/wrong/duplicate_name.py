from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, start


@pipeline
def duplicate_name():
    first = add(start(1))
    add(first)
