from orchestration import pipeline
from tests.pipelines_for_tests.steps import start

EPOCHS = {"short": 1}


@pipeline
def raises(kind: str = "long"):
    start(EPOCHS[kind])
