from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, both, start


@pipeline
def no_such_output():
    add(both(start(1)).nubmer)
