from orchestration import pipeline
from tests.pipelines_for_tests.steps import start


@pipeline(schedule="every night")
def bad_schedule():
    start(1)
