from orchestration import pipeline
from tests.pipelines_for_tests.steps import add


@pipeline
def plain_as_input():
    add(3)
