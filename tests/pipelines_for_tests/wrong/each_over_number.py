from orchestration import for_each, pipeline
from tests.pipelines_for_tests.steps import add, start


@pipeline
def each_over_number():
    number = start(1)
    for_each(3, lambda i: add(number, i))
