"""Recipes: everything that decides a training run except the images."""
