"""A network told mechanisms: backbones, layers opened for training, what they see."""
