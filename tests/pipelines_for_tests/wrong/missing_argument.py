from orchestration import pipeline
from tests.pipelines_for_tests.steps import join, start


@pipeline
def missing_argument():
    join(start(1))
