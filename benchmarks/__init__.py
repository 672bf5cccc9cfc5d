"""The figures Underlay claims, each with the script that measures it: `python -m benchmarks`."""
