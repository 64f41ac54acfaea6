from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, start


@pipeline
def too_many_gpus():
    add.with_(gpu=99)(start(1))
