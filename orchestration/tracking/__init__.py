"""Runs in MLflow, fed by the journal's outbox in the background."""

from orchestration.tracking.feeder import OutboxFeeder
from orchestration.tracking.runs import MlflowTracking

__all__ = ["MlflowTracking", "OutboxFeeder"]
