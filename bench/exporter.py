#!/usr/bin/env python3
"""What a scrape costs: our exporter, node_exporter's ethtool collector, and a script that starts
ethtool three times a device, as the exporter of the original recipe does.

usage: exporter.py [--scrapes N] EXPORTER NODE_EXPORTER ETHTOOL

All read all statistics of the same 32 veth devices, in a network namespace of their own, as a user
without privileges, asked in turn by one keep-alive connection each with Prometheus's headers. The figure
is the processor time a scrape (theirs, not the asker's), and the peak resident memory. Scrapes
come far enough apart that ours collects for each.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

PAIRS = 16
PORTS = {"ours": 9417, "node_exporter": 9100, "script": 9418}
NOBODY = 65534
HEADERS = (
    "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3\r\n"
    "Accept-Encoding: gzip\r\nUser-Agent: Prometheus/2.53.3\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n"
)
NEW_NAMESPACES = 0x00020000 | 0x40000000  # CLONE_NEWNS | CLONE_NEWNET


def run(*command):
    subprocess.run(command, check=True)


def separate():
    """Moves this process to a network namespace with 32 veth devices, and /sys with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_NAMESPACES):
        sys.exit(f"bench: cannot make a network namespace: {os.strerror(ctypes.get_errno())}: be root")
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "sysfs", "sysfs", "/sys")
    run("ip", "link", "set", "lo", "up")
    for pair in range(PAIRS):
        run("ip", "link", "add", f"veth{pair}a", "type", "veth", "peer", "name", f"veth{pair}b")


def start(command):
    """A program without privileges, ended with this one."""
    unprivileged = ["setpriv", "--pdeathsig", "KILL", f"--reuid={NOBODY}", f"--regid={NOBODY}"]
    unprivileged += ["--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    return subprocess.Popen([*unprivileged, "--", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Scraper:
    """One connection, as a Prometheus keeps it."""

    def __init__(self, port):
        deadline = time.monotonic() + 20
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port))
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.request = f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{HEADERS}\r\n".encode()

    def scrape(self):
        """The answer's body, as it came."""
        self.socket.sendall(self.request)
        stream = self.socket.makefile("rb")
        status = stream.readline()
        if b" 200 " not in status:
            sys.exit(f"bench: {status!r}")
        headers = {}
        while (line := stream.readline()) != b"\r\n":
            name, value = line.decode().split(":", 1)
            headers[name.lower()] = value.strip()
        if "content-length" in headers:
            return stream.read(int(headers["content-length"])), headers
        body = b""
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
        return body, headers


def samples(body, headers):
    """How many statistics are on the page."""
    import gzip

    text = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
    return sum(
        line.startswith((b"node_net_ethtool{", b"node_ethtool_")) and b"_info{" not in line
        for line in text.splitlines()
    )


def processor_seconds(pid):
    """Of the process, its threads past and present, and the children that it waited for."""
    of_process = (~pid << 3) | 2  # CPUCLOCK_SCHED of clock_gettime(2)
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    of_children = sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime_ns(of_process) / 1e9 + of_children


def peak(pid):
    """Mebibytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("VmHWM:")).split()[1]) / 1024


def main(arguments):
    scrapes = 60
    if arguments[:1] == ["--scrapes"]:
        scrapes, arguments = int(arguments[1]), arguments[2:]
    if len(arguments) != 3:
        sys.exit(__doc__)
    exporter, node_exporter, ethtool = map(os.path.abspath, arguments)
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ethtool_script.py")
    separate()
    # A file that the exporter's user may not read is copied to a folder that it can read.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for program in (exporter, node_exporter, ethtool, script):
            run("cp", program, folder)
        at = lambda program: os.path.join(folder, os.path.basename(program))
        commands = {
            "ours": [at(exporter), f"--listen=127.0.0.1:{PORTS['ours']}", "--device-include=veth.*", "--all-metrics"],
            "node_exporter": [
                at(node_exporter),
                "--collector.disable-defaults",
                "--collector.ethtool",
                "--collector.ethtool.device-include=veth.*",
                f"--web.listen-address=127.0.0.1:{PORTS['node_exporter']}",
            ],
            "script": [sys.executable, at(script), at(ethtool), str(PORTS["script"]), "veth.*"],
        }
        measure(commands, scrapes)


def measure(commands, scrapes):
    running = {name: start(command) for name, command in commands.items()}
    try:
        scrapers = {name: Scraper(PORTS[name]) for name in running}
        seen = {}
        for _ in range(3):
            for name, scraper in scrapers.items():
                seen[name] = samples(*scraper.scrape())
                time.sleep(0.55)
        used = {name: 0.0 for name in running}
        for _ in range(scrapes):
            began = time.monotonic()
            for name, scraper in scrapers.items():
                before = processor_seconds(running[name].pid)
                scraper.scrape()
                used[name] += processor_seconds(running[name].pid) - before
            time.sleep(max(0.0, began + 0.6 - time.monotonic()))
        peaks = {name: peak(process.pid) for name, process in running.items()}
    finally:
        for process in running.values():
            process.send_signal(signal.SIGKILL)
            process.wait()
    if len(set(seen.values())) != 1 or not seen["ours"]:
        sys.exit(f"bench: not the same statistics: {seen}")
    time_theirs, peak_theirs = used["node_exporter"], peaks["node_exporter"]
    print(f"{2 * PAIRS} veth devices, {seen['ours']} statistics, {scrapes} scrapes")
    print(f"| {'exporter':13} | processor time a scrape |        | peak memory |       |")
    print("|---|---|---|---|---|")
    for name in ("node_exporter", "ours", "script"):
        # The script's ethtools use memory too, one at a time: its own is reported.
        print(
            f"| {name:13} | {1000 * used[name] / scrapes:20.3f} ms | x{used[name] / time_theirs:.3f} "
            f"| {peaks[name]:7.1f} MiB | x{peaks[name] / peak_theirs:.2f} |"
        )
    for what, ratio, limit in (
        ("processor time", used["ours"] / time_theirs, 1 / 10),
        ("peak memory", peaks["ours"] / peak_theirs, 1 / 5),
    ):
        print(f"{what}: x{ratio:.3f} of node_exporter's, aim x{limit:.2f}: {'met' if ratio <= limit else 'NOT MET'}")


if __name__ == "__main__":
    main(sys.argv[1:])
