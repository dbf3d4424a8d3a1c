#!/usr/bin/env python3
"""Starts a daemon in the background below a parent that reaps orphans at once.

Usage: reaper.py COMMAND [ARGUMENT...]

libvirt learns that a guest has ended when its process is gone for good. QEMU daemonizes, so it becomes
a child of PID 1 or of the next "subreaper" above: this one, which does nothing but wait.
"""

import ctypes
import os
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    if os.fork():
        return 0
    os.setsid()
    if os.fork():
        os._exit(0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        print("prctl:", os.strerror(ctypes.get_errno()), file=sys.stderr)
    child = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, _: os.kill(child, n))
    # Guests outlive their daemon, so this goes on until the last of them is gone.
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return 0
        except InterruptedError:
            continue


if __name__ == "__main__":
    sys.exit(main())
