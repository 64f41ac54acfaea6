from orchestration import pipeline
from tests.pipelines_for_tests.steps import start

FEATURES = {"fare": 1}["fair"]


@pipeline
def does_not_import():
    start(FEATURES)
