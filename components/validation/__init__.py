"""Data validation in three steps: plan the metrics, compute them in Beam, judge them.

``suite`` reads the rules; ``judge.plan`` asks Great Expectations which metrics they need; ``job`` computes
these in one Beam pass without Great Expectations; ``judge.judge`` lets Great Expectations look them up;
``anomalies``, ``report`` and ``docs`` tell people what is wrong, ``evidence`` and ``quarantine`` which rows.

What differs from a baseline, ``components.comparison`` says; its anomalies stand in the same list.
"""
