"""Side-by-side tables of brain states."""
