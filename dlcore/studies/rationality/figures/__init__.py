"""The charts of chapter 1; never import torch."""
