from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, start


@pipeline
def unknown_argument():
    add(start(1), second=2)
