"""Read by Python at start-up in a `haven` that tests measure, after coverage has begun: its children are not measured.

dbt is one of them. Coverage takes as long again as dbt itself, and finds nothing there.
"""

import os

for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
    del os.environ[name]
