"""Side-by-side tables of what each system claims: ``python -m benchmarks NAME``."""
