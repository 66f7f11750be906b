"""Makes one thread of a running process stand still, as a hang in it would, and lets it go again.

    python3 tests/hold_thread.py PID NAME

Says `held` and waits for its standard input to be closed. Exit code 77: the system does not allow it (ptrace).
"""
import ctypes
import errno
import os
import pathlib
import select
import sys

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WAIT_ALL = 0x40000000  # __WALL: threads, too


def main():
    pid, name = sys.argv[1:]
    threads = [int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
               if (task / "comm").read_text().strip() == name]
    if len(threads) != 1:
        sys.exit(f"process {pid} has {len(threads)} threads called {name}")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long

    def ptrace(request):
        if libc.ptrace(request, threads[0], None, None) < 0:
            error = ctypes.get_errno()
            print(os.strerror(error), file=sys.stderr)
            sys.exit(77 if error == errno.EPERM else 1)

    ptrace(SEIZE)
    ptrace(INTERRUPT)
    os.waitpid(threads[0], WAIT_ALL)
    print("held", flush=True)
    while not select.select([sys.stdin], [], [], 0.1)[0]:
        # A thread that was killed meanwhile stays until we have seen its end, and the process with it.
        gone, status = os.waitpid(threads[0], WAIT_ALL | os.WNOHANG)
        if gone and not os.WIFSTOPPED(status):
            return
    ptrace(DETACH)


if __name__ == "__main__":
    main()
