#!/usr/bin/env python3
"""What it takes a function to be ready: from its start to its first poll of Lambda's runtime API.

usage: start.py [--runs N] NAME=BINARY...

The runtime API is this script, on loopback. Runs of the binaries are interleaved; of each number
the median is told, with the ratio to the first binary's. Ready means that every client is built;
nothing was loaded and no connection made yet.
"""

import os
import signal
import socket
import statistics
import sys
import time

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
    "AWS_REGION": "eu-central-1",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AMP_WORKSPACE": "ws-00000000-0000-0000-0000-000000000000",
    "STATE_TABLE": "state",
    "TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:alerts",
}


def start(binary, listener):
    """Milliseconds to the first poll, and the peak memory until then, in MiB."""
    port = listener.getsockname()[1]
    environment = ENVIRONMENT | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}"}
    began = time.perf_counter()
    pid = os.posix_spawn(binary, [binary], environment)
    try:
        connection, _ = listener.accept()
        request = connection.recv(4096)
        took = time.perf_counter() - began
        if not request.startswith(b"GET /2018-06-01/runtime/invocation/next "):
            sys.exit(f"{binary}: {request!r} is no poll")
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            peak = next(line for line in status if line.startswith("VmHWM:"))
    finally:
        # Before its connection ends, of which it would complain.
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    connection.close()
    return took * 1000, int(peak.split()[1]) / 1024


def main(arguments):
    runs = 60
    if arguments[:1] == ["--runs"]:
        runs, arguments = int(arguments[1]), arguments[2:]
    binaries = dict(argument.split("=", 1) for argument in arguments)
    if not binaries:
        sys.exit(__doc__)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    measured = {name: [] for name in binaries}
    for run in range(runs + 3):
        for name, binary in binaries.items():
            found = start(binary, listener)
            # The first runs read the binary from the disk.
            if run >= 3:
                measured[name].append(found)
    first = None
    print(f"| {'function':16} | start to first poll |       | peak memory |       |     size |")
    print("|---|---|---|---|---|---|")
    for name, binary in binaries.items():
        took, peak = (statistics.median(column) for column in zip(*measured[name]))
        size = os.path.getsize(binary) / 1e6
        first = first or (took, peak)
        print(
            f"| {name:16} | {took:16.2f} ms | x{took / first[0]:.2f} "
            f"| {peak:7.1f} MiB | x{peak / first[1]:.2f} | {size:5.2f} MB |"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
