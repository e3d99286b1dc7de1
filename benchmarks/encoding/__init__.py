"""Side-by-side tables of encoders."""
