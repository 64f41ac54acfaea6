from orchestration import for_each, pipeline
from tests.pipelines_for_tests.steps import add, start


@pipeline
def each_in_each():
    number = start(1)
    for_each([1, 2], lambda i: for_each([3, 4], lambda j: add(number, j)))
