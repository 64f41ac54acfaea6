from orchestration import pipeline
from tests.pipelines_for_tests.steps import build, start


@pipeline
def nested_builder(by: int = 3):
    def plus(n: int) -> int:
        return n + by

    build(start(1), plus)
