"""Kills, faults, bad input and forged files: what is lost, silent, or wrongly executed."""
