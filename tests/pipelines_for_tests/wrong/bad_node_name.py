from orchestration import pipeline
from tests.pipelines_for_tests.steps import start


@pipeline
def bad_node_name():
    start.with_(name="../start")(1)
