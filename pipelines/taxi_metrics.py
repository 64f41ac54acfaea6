"""How the taxi model is judged: by hour and by kind of payment, against the live model too."""

from components.evaluation import (
    accuracy,
    at_least,
    auc,
    by,
    calibration,
    evaluation,
    log_loss,
    no_worse_than_champion,
    pr_auc,
)

METRICS = evaluation(
    metrics=[auc(), pr_auc(), log_loss(), accuracy(), calibration()],
    slices=[by("trip_start_hour"), by("payment_type"), by("payment_type", "company")],
    gates=[
        at_least("auc", 0.7),
        at_least("accuracy", 0.6, slices=by("trip_start_hour")),
        no_worse_than_champion("auc", margin=0.005),
    ],
    minimum_slice_rows=50,
)
