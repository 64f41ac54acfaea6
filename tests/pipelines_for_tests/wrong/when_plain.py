from orchestration import pipeline, value, when
from tests.pipelines_for_tests.steps import add, start


@pipeline
def when_plain():
    number = start(1)
    with when(value(number, "n") == 1):
        add(number)
