"""Checks of parameters, arrays and MNE objects, made before any computation."""
