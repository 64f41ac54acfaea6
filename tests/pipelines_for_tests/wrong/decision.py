from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, start


@pipeline
def decision():
    number = start(1)
    if number:
        add(number)
