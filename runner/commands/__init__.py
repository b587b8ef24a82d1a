"""One module per command: parse, call one function, map the outcome to an exit code."""
