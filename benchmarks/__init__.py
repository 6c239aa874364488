"""How fast fps-lite is beside its peers: `python -m benchmarks`; see docs/benchmarks.md."""
