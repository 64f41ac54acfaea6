from orchestration import pipeline


@pipeline
def no_nodes():
    """Describes nothing."""
