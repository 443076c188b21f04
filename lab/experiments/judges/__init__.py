"""Judges of claims, grouped by subject; several experiments share them."""
