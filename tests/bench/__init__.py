"""Benchmarks: what must be fast, measured beside a peer in the same run. `python -m tests.bench [group …]`."""
