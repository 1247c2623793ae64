"""The charts of chapter 2; never import torch."""
