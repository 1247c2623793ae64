"""Translation: the synthetic task and real text, models, decoding, training and BLEU."""
