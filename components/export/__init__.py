"""Exports of a trained model: the whole graph, raw features in, for each serving runtime."""
