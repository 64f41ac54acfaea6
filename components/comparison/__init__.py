"""New data against old without a pipeline: ``headrace data``."""
