from orchestration import pipeline
from tests.pipelines_for_tests.steps import start


@pipeline
def policy_range():
    start.with_(timeout=-1)(1)
