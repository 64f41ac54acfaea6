from orchestration import pipeline
from tests.pipelines_for_tests.steps import start


@pipeline(schedule="0 3 * * *", timezone="America/Chigaco")
def unknown_zone():
    start(1)
