"""Networks as Keras models, and their pretrained weights."""
