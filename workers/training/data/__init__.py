"""Labelled images for training: data sets, batches, augmentation, splits."""
