"""Read by Python at start-up in every process that tests start.

In a `haven` that tests measure, coverage has begun by now: its children are not measured. dbt is one of them; coverage
takes as long again as dbt itself, and finds nothing there.

A dbt is not begun anew where there is a warm one (`warm_dbt.py`): this process then stands for it, in its process
group and with its exit code.
"""

import os
import sys

for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
    del os.environ[name]


def _stand_for_a_warm_dbt(address: str) -> None:
    """Have the warm process at `address` run this dbt, and end as it ends; return if it cannot."""
    import json  # noqa: PLC0415 - in no other process's way
    import signal  # noqa: PLC0415
    import socket  # noqa: PLC0415

    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(address)
    except OSError:  # still warming up
        return
    # The dbt of this group hears it, too, and decides how to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    umask = os.umask(0)
    os.umask(umask)
    request = {
        "modules": sys.orig_argv[2:],
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109
        "group": os.getpgrp(),
        "umask": umask,
    }
    text = json.dumps(request).encode()
    socket.send_fds(line, [len(text).to_bytes(4, "big")], [0, 1, 2])
    line.sendall(text)
    code = int(line.recv(16) or b"70")
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


_DBT = (["-m", "dbt.cli.main"], ["-m", "runner.child", "dbt.cli.main"])
_session, _, _address = os.environ.get("WARM_DBT", "").partition(" ")
# A process group has one session only.
if _session == str(os.getsid(0)) and any(sys.orig_argv[1 : 1 + len(to)] == to for to in _DBT):
    _stand_for_a_warm_dbt(_address)
