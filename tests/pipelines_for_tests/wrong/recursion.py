from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, start


@pipeline
def recursion(n: int = 3):
    add(start(n))
    recursion(n - 1)
