"""Side-by-side tables of nerve decoders."""
