from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, pair, start


@pipeline
def ambiguous_output():
    add(pair(start(1)))
