from orchestration import pipeline
from tests.pipelines_for_tests.steps import build, start


@pipeline
def lambda_builder():
    build(start(1), lambda n: n + 1)
