"""`python -m benchmarks` and `make bench`."""

from benchmarks.run import main

if __name__ == "__main__":
    main()
