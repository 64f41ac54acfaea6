from orchestration import pipeline
from tests.pipelines_for_tests.steps import start


@pipeline
def unknown_policy():
    start.with_(retires=3)(1)
