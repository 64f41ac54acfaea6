"""Data validation in three steps: plan the metrics, compute them in Beam, judge them.

``suite`` reads the rules; ``judge.plan`` asks Great Expectations which metrics they need; ``job`` computes
these in one Beam pass without Great Expectations; ``judge.judge`` lets Great Expectations look them up;
``anomalies``, ``report`` and ``docs`` tell people what is wrong, ``evidence`` and ``quarantine`` which rows.

``compare`` holds statistics beside a baseline's: ``drift_rules`` says how much may differ, ``profile`` what
statistics tell of a distribution, ``comparators`` how far two are apart, ``comparison`` what applies to which
column, ``drift_wording`` the same in a sentence.
"""
