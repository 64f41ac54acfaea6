from orchestration import pipeline
from orchestration.graph import after
from tests.pipelines_for_tests.steps import add, start


@pipeline
def after_name():
    number = start(1)
    after(add(number), "start")
