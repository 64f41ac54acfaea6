from orchestration import pipeline, value
from tests.pipelines_for_tests.steps import add, start


@pipeline
def decision_on_value():
    number = start(1)
    if value(number, "n") > 3:
        add(number)
