from orchestration import pipeline
from tests.pipelines_for_tests.steps import start


@pipeline
def one():
    start(1)


@pipeline
def two():
    start(2)
