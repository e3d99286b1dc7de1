"""Side-by-side tables of what each system claims: ``python -m sklearn_meg.benchmarks NAME``."""
