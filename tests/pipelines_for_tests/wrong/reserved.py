from orchestration import pipeline
from tests.pipelines_for_tests.steps import start


@pipeline
def reserved(only: int = 3):
    start(only)
