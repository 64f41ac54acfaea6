"""Arrow batches, Parquet row groups, stable hashes and mergeable accumulators."""
