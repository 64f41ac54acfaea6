from orchestration import pipeline, value
from tests.pipelines_for_tests.steps import add, pair, start


@pipeline
def ambiguous_value():
    number = start(1)
    add(number, value(pair(number), "n"))
