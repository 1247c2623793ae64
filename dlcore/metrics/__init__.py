"""Metrics: pure functions of arrays, one module per finding; they never import torch, tensors are accepted."""
