from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, start


@pipeline
def value_as_input():
    add(start(1), start.with_(name="other")(2))
