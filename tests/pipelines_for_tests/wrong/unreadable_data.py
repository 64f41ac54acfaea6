from orchestration import pipeline
from tests.pipelines_for_tests.steps import read_numbers


@pipeline
def unreadable_data():
    read_numbers("no/such/folder/*.csv")
