"""The real scheduler and admission code over a simulated machine: `python -m benchmarks.simulator --help`."""
