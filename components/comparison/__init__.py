"""Data beside a baseline: one engine for pipelines (``DriftRules``) and for ``headrace data compare``.

``columns`` decides what of a column's statistics is compared, by its type; ``drift_rules`` says by which
measure and how far, ``profile`` and ``pairs`` what statistics tell of two distributions, ``measures`` how far
these are apart and what chance does. ``splits`` does it for whole data sets and makes anomalies of it,
``wording`` says them, ``picture`` draws them.

``compare`` adds what files without a schema need: ``structure`` holds the columns beside each other, and
``row_rules`` makes rules for rows with bounds beyond chance (``chance``), which validation judges like any
others. ``command``, ``files`` and ``terminal`` are ``headrace data``.
"""
