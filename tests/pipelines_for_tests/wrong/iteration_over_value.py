from orchestration import pipeline, value
from tests.pipelines_for_tests.steps import add, start


@pipeline
def iteration_over_value():
    number = start(1)
    for item in value(number, "items"):
        add.with_(name=f"add_{item}")(number, item)
