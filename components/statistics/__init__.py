"""Mergeable accumulators, what they tell about columns, and the page that shows it."""
