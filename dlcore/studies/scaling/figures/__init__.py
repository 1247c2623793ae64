"""The charts of chapter 4; never import torch."""
