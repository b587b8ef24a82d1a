"""The page's fixed texts: how to run it again, and what is measured how."""

from __future__ import annotations

from benchmarks import table

HEAD = """# How fast a load is

Written by `make bench` from `benchmarks/results/*.json`; do not edit. Each part was run on its own: see "Where and
when".
"""
COLUMNS = ", ".join(f"`{name}` {kind}" for name, kind in table.COLUMNS.items())
RERUN = f"""
## Run it again

```bash
make bench-peers                             # once: the other loaders, each in an environment of its own
make bench                                   # everything, 5 million rows, 5 trials: about an hour
ROWS=500000 RUNS=1 make bench                # under ten minutes
ONLY=bulk,nothing make bench                 # some parts; the others keep their last results
```

Parts: bulk, workers, growth, peers, values, reconcile, nothing, tables, queries, swap, models, incremental. For queries
and models, ROWS counts the orders. The bench has two PostgreSQL clusters of its own in a temporary folder, made by the
code of `haven up` with its settings (`synchronous_commit = off`, fsync on, `wal_level = logical`,
`max_wal_size = 4GB`, `shared_buffers` a 16th of memory, at most 2 GB), but autovacuum off, as it would start in the
middle of some trial.

## What is measured

- The table is orders-like, about 100 bytes a row: {COLUMNS}; key `{table.KEY}`.
- Seconds are those of whole commands, start-up included: one `haven load`, one `psql | psql`, one Python process, one
  run of the other loader. "Engine" is what Haven itself says for a table, without the start-up, of which work by hand
  in psql has next to none.
- Trials alternate (A B C A B C …) after a checkpoint on both sides; copies are dropped in between. Figures are medians.
  The speed is a method's rows a second divided by the baseline's in the same round, so above 1 is faster: the median of
  the rounds, in brackets the lowest and the highest.
- After every trial the copy's row count and a checksum of all columns are compared with the source's, cast to the
  source's types. A wrong copy stops the bench; another loader's is shown as wrong instead of a time.
- Memory is the sum of the resident memory of all processes of the client, sampled 20 times a second, at its highest;
  the servers are not counted.
"""
