"""How much two groupings of the same rows tell about each other, less what chance alone gives.

With ``n`` rows and a table of joint counts ``n_ij`` with sums ``a_i`` and ``b_j``:

* mutual information in nats, ``sum n_ij/n * log(n * n_ij / (a_i * b_j))``;
* its expectation when one grouping is shuffled, each ``n_ij`` being hypergeometric;
* adjusted, ``(MI - E[MI]) / ((H(a) + H(b)) / 2 - E[MI])``: 0 for chance, 1 where each tells the other.

After Vinh, Epps and Bailey: Information theoretic measures for clusterings comparison, JMLR 11 (2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Information:
    """What two groupings tell about each other.

    Attributes:
        plain: Mutual information as it is, in nats; too high in few rows.
        by_chance: Its expectation when one grouping is shuffled.
        adjusted: 0 for chance, 1 where each tells the other; 0 where one has a single group.
    """

    plain: float
    by_chance: float
    adjusted: float


def information(joint: Counts) -> Information:
    """Return what the rows' and the columns' grouping of a table of joint counts tell about each other."""
    joint = joint[joint.sum(axis=1) > 0][:, joint.sum(axis=0) > 0]
    if min(joint.shape, default=0) < 2:
        return Information(0.0, 0.0, 0.0)
    total = int(joint.sum())
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    places = np.nonzero(joint)
    counts = joint[places].astype(np.float64)
    expected = rows[places[0]] * columns[places[1]].astype(np.float64)
    plain = float((counts / total * np.log(counts * total / expected)).sum())
    by_chance = _by_chance(rows, columns, total)
    room = (_entropy(rows, total) + _entropy(columns, total)) / 2 - by_chance
    adjusted = (plain - by_chance) / room if abs(room) > 1e-12 else 0.0
    return Information(plain, by_chance, adjusted)


def _entropy(counts: Counts, total: int) -> float:
    shares = counts / total
    return float(-(shares * np.log(shares)).sum())


def _by_chance(rows: Counts, columns: Counts, total: int) -> float:
    # log of factorials; every count is at most the number of rows
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    chance = 0.0
    for b in columns.tolist():
        low = np.maximum(1, rows + b - total)
        high = np.minimum(rows, b)
        lengths = high - low + 1
        a = np.repeat(rows, lengths)
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        n = np.arange(lengths.sum()) - starts + np.repeat(low, lengths)
        log_share = (
            factorial[a]
            + factorial[b]
            + factorial[total - a]
            + factorial[total - b]
            - factorial[total]
            - factorial[n]
            - factorial[a - n]
            - factorial[b - n]
            - factorial[total - a - b + n]
        )
        term = n / total * np.log(total * n / (a * float(b)))
        chance += float((term * np.exp(log_share)).sum())
    return chance
