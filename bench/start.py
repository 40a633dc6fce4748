#!/usr/bin/env python3
"""What it takes the ruler to be ready, beside three other functions, as a table of ratios.

usage: start.py [--runs N] FOLDER PYTHON

FOLDER is what bench/build made, PYTHON an interpreter with boto3 and awslambdaric. The functions:

bare        lambda_runtime's own example, which does nothing, built as the ruler is
one_thread  the same on one thread, as the ruler is: the least that a start can cost
ruler       as it is deployed, without and with a role to query by (a client more)
defaults    the ruler's clients with every default of their crates, of Cargo and of cargo-lambda
boto3       the ruler's clients in Python, under Lambda's own runtime for it

The time is from a function's start to its first poll of Lambda's runtime API, which is this script,
on loopback. All clients are built by then; nothing was loaded and no connection made yet. The first
TLS handshake is timed apart: a client's first request to a server on loopback, and its second, over a
connection of its own again.

Runs are interleaved, in an order of chance; the median of each number is reported. Binaries are run from
a file system in memory, if there is one, so that neither the disk counts nor the size of the pieces
that it was read in.
"""

import http.server
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
MOST = {"start": 1.25, "memory": 1.8, "size": 6.0}
ENVIRONMENT = {
    "AMP_WORKSPACE": "ws-00000000-0000-0000-0000-000000000000",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
    "AWS_REGION": "eu-central-1",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "STATE_TABLE": "state",
    "TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:alerts",
}
WITH_ROLE = {"QUERY_ROLE_ARN": "arn:aws:iam::210987654321:role/reader"}


def start(command, environment, listener):
    """Milliseconds to the first poll, and the peak memory until then, in MiB."""
    port = listener.getsockname()[1]
    environment = environment | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}"}
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, environment)
    try:
        connection, _ = listener.accept()
        request = connection.recv(4096)
        took = time.perf_counter() - began
        if not request.startswith(b"GET /2018-06-01/runtime/invocation/next "):
            sys.exit(f"{command}: {request!r} is no poll")
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            peak = next(line for line in status if line.startswith("VmHWM:"))
    finally:
        # Before its connection ends, of which it would complain.
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    connection.close()
    return took * 1000, int(peak.split()[1]) / 1024


def starts(functions, runs):
    """The medians of each function: milliseconds, MiB."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(30)
    measured = {name: [] for name in functions}
    for run in range(runs + 3):
        # What ran before a function leaves caches warm or cold for it: each follows each.
        turns = list(functions.items())
        random.Random(run).shuffle(turns)
        for name, (command, environment) in turns:
            found = start(command, environment, listener)
            # The first runs read the files from the disk.
            if run >= 3:
                measured[name].append(found)
    return {name: [statistics.median(column) for column in zip(*found)] for name, found in measured.items()}


class Answer(http.server.BaseHTTPRequestHandler):
    """A short answer, after which the connection is closed: HTTP/1.0."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"ready\n")

    def log_message(self, *_):
        pass


def handshakes(programs, runs, folder):
    """The medians of each program: milliseconds of its first request, and of its second."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        + ["-days", "2", "-subj", "/CN=bench", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://localhost:{server.server_port}/"
    measured = {name: [] for name in programs}
    for _ in range(runs):
        for name, command in programs.items():
            # The interpreter's own variables are not wanted, nor is a proxy.
            said = subprocess.run(
                [*command, url, certificate], env=ENVIRONMENT | {"HOME": "/"}, check=True, stdout=subprocess.PIPE, text=True
            )
            measured[name].append([float(line) for line in said.stdout.split()])
    server.shutdown()
    return {name: [statistics.median(column) for column in zip(*found)] for name, found in measured.items()}


def in_memory(folder):
    """A folder in memory that programs may run from, or else `folder`."""
    try:
        memory = pathlib.Path(tempfile.mkdtemp(prefix="dnswatch-bench-", dir="/dev/shm"))
    except OSError:
        return folder
    shutil.copy("/bin/true", memory)
    try:
        subprocess.run([memory / "true"], check=True)
    except OSError:
        shutil.rmtree(memory)
        return folder
    return memory


def megabytes(path):
    return os.path.getsize(path) / 1e6


def main(arguments):
    runs = 60
    if arguments[:1] == ["--runs"]:
        runs, arguments = int(arguments[1]), arguments[2:]
    if len(arguments) != 2:
        sys.exit(__doc__)
    built, python = pathlib.Path(arguments[0]), arguments[1]
    with tempfile.TemporaryDirectory() as disk:
        folder = in_memory(pathlib.Path(disk))
        try:
            report(built, python, runs, folder)
        finally:
            if folder != pathlib.Path(disk):
                shutil.rmtree(folder)
    return 0


def report(built, python, runs, folder):
    binary = {}
    for name in ("bare", "one_thread", "ruler", "defaults", "handshake"):
        binary[name] = folder / name
        shutil.copy(built / name / "bootstrap", binary[name])
    handler = HERE / "boto3" / "handler.py"
    with_role = ENVIRONMENT | WITH_ROLE
    in_python = with_role | {"PYTHONPATH": str(handler.parent), "_HANDLER": "handler.handler", "HOME": "/"}
    functions = {
        "bare": ([binary["bare"]], ENVIRONMENT),
        "one_thread": ([binary["one_thread"]], ENVIRONMENT),
        "ruler": ([binary["ruler"]], ENVIRONMENT),
        "ruler, with a role": ([binary["ruler"]], with_role),
        "defaults": ([binary["defaults"]], with_role),
        "boto3": ([python, "-m", "awslambdaric", "handler.handler"], in_python),
    }
    # Python takes long, and comes out the same every time.
    quick = {name: functions[name] for name in functions if name != "boto3"}
    found = starts(quick, runs) | starts({"boto3": functions["boto3"]}, max(5, runs // 6))
    tls = handshakes(
        {
            "ruler": [binary["handshake"]],
            "defaults": [binary["defaults"]],
            "boto3": [python, handler],
        },
        max(5, runs // 6),
        folder,
    )
    size = {"bare": "bare", "one_thread": "one_thread", "ruler": "ruler", "ruler, with a role": "ruler", "defaults": "defaults"}
    bare = found["bare"]
    print("| function           | start to first poll |         | peak memory |        |     size | TLS: first | second request |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (took, peak) in found.items():
        own = f"{megabytes(binary[size[name]]):5.2f} MB" if name in size else " " * 8
        first, second = (f"{value:7.2f} ms" for value in tls[name]) if name in tls else (" " * 10, " " * 10)
        print(
            f"| {name:18} | {took:16.2f} ms | x{took / bare[0]:<6.2f} | {peak:7.1f} MiB | x{peak / bare[1]:<5.2f} "
            f"| {own} | {first} | {second:>14} |"
        )
    print()
    for name in ("ruler", "ruler, with a role"):
        took, peak = found[name]
        limits = [
            ("start", "x{:.2f}", took / bare[0]),
            ("memory", "x{:.2f}", peak / bare[1]),
            ("size", "{:.2f} MB", megabytes(binary["ruler"])),
        ]
        verdicts = []
        for what, form, value in limits:
            verdict = "holds" if value <= MOST[what] else "MISSED"
            verdicts.append(f"{what} {form.format(value)} (at most {form.format(MOST[what])}): {verdict}")
        print(f"{name}: " + "; ".join(verdicts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
