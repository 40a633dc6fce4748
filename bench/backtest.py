#!/usr/bin/env python3
"""What a backtest costs, beside vmalert's replay of the same rules over the same history.

usage: backtest.py [--runs N] DNSWATCH

History is 1,000 series over 720 ticks in a Prometheus on this machine. One rule matches all of
them, one a few. The programs run in turn; of each number the median is output: CPU time and peak
memory of the program, and the CPU time that the Prometheus took to answer it. vmalert writes what
it finds as series, here to a sink that throws them away; dnswatch plans notifications as well.
"""

import datetime
import http.server
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading

SERIES, TICKS = 1000, 720
START = 1_760_000_400
END = START + 60 * (TICKS - 1)
RULES = """
groups:
- name: bench
  interval: 1m
  rules:
  - alert: All
    expr: m >= 0
    for: 5m
    labels: {severity: warning}
    annotations: {summary: "{{ $labels.node }} is at {{ $value }}"}
  - alert: Few
    expr: m > 99.5
    for: 5m
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.node }} is at {{ $value }}"}
"""
# A child's peak begins with the memory of the process that it was started from, and this one holds
# the history: so programs are started by a small one.
STARTER = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
code = os.waitstatus_to_exitcode(status)
print(code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, file=os.fdopen({}, "w"))
"""
CACHE = os.environ.get("DNSWATCH_CACHE") or os.path.expanduser("~/.cache/dnswatch")
PARTS = pathlib.Path(CACHE) / "parts"
TICK = os.sysconf("SC_CLK_TCK")


def rfc3339(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def history():
    """Random walks between 0 and 100, as OpenMetrics."""
    source = random.Random(1)
    lines = ["# TYPE m gauge"]
    for number in range(SERIES):
        labels = f'{{node="node-{number:04}",cluster="bench",zone="z{number % 3}"}}'
        value = 50.0
        for tick in range(TICKS):
            value = min(100.0, max(0.0, value + source.uniform(-3, 3)))
            lines.append(f"m{labels} {value:.2f} {START + 60 * tick}")
    return "\n".join([*lines, "# EOF", ""])


class Sink(http.server.BaseHTTPRequestHandler):
    """Takes all that is written, and keeps nothing."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_):
        pass


def start_prometheus(folder):
    """The server on the history, and its address."""
    folder = pathlib.Path(folder)
    (folder / "history.om").write_text(history(), encoding="ascii")
    (folder / "prometheus.yml").write_text("{}", encoding="ascii")
    tools = PARTS / "prometheus"
    create = ["tsdb", "create-blocks-from", "openmetrics", "history.om", "data"]
    subprocess.run([tools / "promtool", *create], cwd=folder, check=True, capture_output=True)
    server = subprocess.Popen(
        [
            tools / "prometheus",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--storage.tsdb.retention.time=100y",
            "--web.listen-address=127.0.0.1:0",
        ],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    address = None
    for line in server.stderr:
        if found := re.search(r'msg="Listening on" address="?([^"\s]+)', line):
            address = found[1]
        if "Server is ready" in line:
            break
    threading.Thread(target=server.stderr.read, daemon=True).start()
    if not address:
        sys.exit("the Prometheus did not start")
    return server, f"http://{address}"


def cpu_of(pid):
    """The CPU seconds that a process has taken so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def run(command, server):
    """CPU seconds, peak MiB, the server's CPU seconds, and what was printed."""
    before = cpu_of(server.pid)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        reader, writer = os.pipe()
        starter = [sys.executable, "-I", "-S", "-c", STARTER.format(writer), *map(str, command)]
        child = subprocess.Popen(starter, stdout=out, stderr=err, pass_fds=[writer])
        os.close(writer)
        with os.fdopen(reader) as output:
            found = output.read().split()
        child.wait()
        out.seek(0)
        err.seek(0)
        printed, said = out.read(), err.read()
    if not found or found[0] != "0":
        sys.exit(f"{command[0]}: {said[-2000:]}")
    _, cpu, peak = found
    return (float(cpu), int(peak) / 1024, cpu_of(server.pid) - before), printed + said


def main(arguments):
    runs = 7
    if arguments[:1] == ["--runs"]:
        runs, arguments = int(arguments[1]), arguments[2:]
    if len(arguments) != 1:
        sys.exit(__doc__)
    sink = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        rules = pathlib.Path(folder) / "rules.yml"
        rules.write_text(RULES, encoding="ascii")
        server, url = start_prometheus(folder)
        try:
            vmalert = PARTS / "vmalert" / "vmalert"
            version = (vmalert.parent / "version").read_text(encoding="ascii")
            version = re.match(r"\d+\.\d+", version)
            commands = {
                f"vmalert {version[0] if version else ''} -replay": [
                    vmalert,
                    f"-rule={rules}",
                    f"-datasource.url={url}",
                    f"-remoteWrite.url=http://127.0.0.1:{sink.server_port}",
                    f"-replay.timeFrom={rfc3339(START)}",
                    f"-replay.timeTo={rfc3339(END)}",
                    "-replay.rulesDelay=0s",
                    # It gives up where its queue is full; this holds all that it finds.
                    "-remoteWrite.maxQueueSize=4000000",
                    "-replay.disableProgressBar",
                    "-httpListenAddr=127.0.0.1:0",
                    "-loggerLevel=ERROR",
                ],
                "dnswatch backtest": [
                    arguments[0],
                    "backtest",
                    "--query-offset=0s",
                    "--format=json",
                    f"--url={url}",
                    f"--start={START}",
                    f"--end={END}",
                    "--rules",
                    rules,
                ],
            }
            measured = {name: [] for name in commands}
            for number in range(runs + 1):
                for name, command in commands.items():
                    found, printed = run(command, server)
                    # The first run reads programs and history from the disk.
                    if number > 0:
                        measured[name].append(found)
                    if command[1] == "backtest":
                        kinds = [json.loads(line)["type"] for line in printed.splitlines()]
        finally:
            server.terminate()
            server.wait()
    first = None
    print(f"| {'program':24} | CPU time |       | peak memory |       | the server's CPU time |")
    print("|---|---|---|---|---|---|")
    for name, rows in measured.items():
        cpu, peak, served = (statistics.median(column) for column in zip(*rows))
        first = first or (cpu, peak)
        print(
            f"| {name:24} | {cpu * 1000:5.0f} ms | x{cpu / first[0]:.2f} "
            f"| {peak:7.1f} MiB | x{peak / first[1]:.2f} | {served * 1000:6.0f} ms |"
        )
    print(
        f"\ndnswatch reported {kinds.count('transition')} transitions and "
        f"{kinds.count('notification')} notifications."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
