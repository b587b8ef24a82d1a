"""One module for each part of the bench; `make bench` runs all, `--only` some. Each returns what is kept as JSON."""
