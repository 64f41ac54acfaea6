"""Data validation in three steps: plan the metrics, compute them in Beam, judge them with Great Expectations.

``suite`` reads the rules, ``plan`` asks Great Expectations which metrics they need, ``job`` computes these in one
Beam pass without Great Expectations, ``judge`` looks them up and gives verdicts, ``anomalies`` and ``docs`` tell
people what is wrong.
"""
