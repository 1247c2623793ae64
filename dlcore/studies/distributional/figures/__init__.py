"""The charts of chapter 3; never import torch."""
