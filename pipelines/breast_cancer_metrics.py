"""How the breast cancer model is judged: few rows, so by the lower end of the interval too."""

from components.evaluation import (
    accuracy,
    at_least,
    auc,
    calibration,
    evaluation,
    log_loss,
    no_worse_than_champion,
    precision,
    recall,
)

METRICS = evaluation(
    metrics=[auc(), log_loss(), accuracy(), precision(), recall(), calibration()],
    gates=[
        at_least("auc", 0.95, confident=True),
        at_least("recall", 0.8),
        no_worse_than_champion("auc", margin=0.01),
    ],
)
