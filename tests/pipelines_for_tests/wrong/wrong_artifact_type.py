from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, spell, start


@pipeline
def wrong_artifact_type():
    word = spell(start(1))
    add(word)
