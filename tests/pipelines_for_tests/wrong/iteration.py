from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, start


@pipeline
def iteration():
    for index, number in enumerate(start(1)):
        add.with_(name=f"add_{index}")(number)
