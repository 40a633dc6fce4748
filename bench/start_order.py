#!/usr/bin/env python3
"""Writes functions/ruler/start-order.txt: the functions that the ruler runs until it waits for events.

usage: start_order.py RULER

RULER is an optimised build that has its symbols. It runs under valgrind's callgrind, once with and
once without a role to query by. Names are written as patterns for the linker: what differs from build
to build in them (hashes, numbers of copies) is `*`.
"""

import bisect
import fnmatch
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

from start import ENVIRONMENT, WITH_ROLE

LIST = pathlib.Path(__file__).resolve().parent.parent / "functions" / "ruler" / "start-order.txt"
HEAD = """\
# What the ruler runs until it waits for events, found by `make start-order`, which writes this file.
# build.rs has the linker lay it side by side. Names that are out of date cost memory and time at the
# start (see `make bench-start`), nothing else.
"""
# Of functions with one body the compiler keeps one, under the name of any: another one in each build.
FAMILIES = ("_ZN4core3ptr*drop_in_place*", "_ZN4core3str*", "_RNv*4core3str*", "_ZN5alloc7raw_vec*", "_RNv*5alloc7raw_vec*")
# What the kernel maps around a page: what a function costs that is left out.
WINDOW = 64 * 1024


def traced(ruler, environment):
    """The addresses of the instructions that ran, libraries' too."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(60)
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    environment = environment | {"AWS_LAMBDA_RUNTIME_API": address, "PATH": os.environ["PATH"]}
    with tempfile.TemporaryDirectory() as folder:
        profile = pathlib.Path(folder) / "profile"
        # Names are not taken from it: valgrind knows those of one section of code.
        command = ["valgrind", "--quiet", "--tool=callgrind", "--dump-instr=yes", "--compress-pos=no"]
        process = subprocess.Popen([*command, f"--callgrind-out-file={profile}", ruler], env=environment)
        connection, _ = listener.accept()
        connection.recv(4096)
        process.terminate()
        process.wait()
        connection.close()
        return {int(found, 16) for found in re.findall(r"^0x([0-9a-f]+) ", profile.read_text(encoding="utf-8"), re.MULTILINE)}


def functions(ruler):
    """Address, bytes and name of each function, by address."""
    listed = subprocess.run(["nm", "--print-size", "--defined-only", ruler], check=True, stdout=subprocess.PIPE, text=True)
    rows = (line.split() for line in listed.stdout.splitlines())
    return sorted((int(row[0], 16), int(row[1], 16), row[3]) for row in rows if len(row) == 4 and row[2] in "tTwW")


def pattern(name):
    for family in FAMILIES:
        if fnmatch.fnmatchcase(name, family):
            return family
    name = re.sub(r"(\.llvm)?\.\d+$", "*", name)
    name = re.sub(r"17h[0-9a-f]{16}E", "17h*E", name)
    name = re.sub(r"Cs[0-9A-Za-z]+_(?=\d)", "Cs*_", name)
    return re.sub(r"[^0-9A-Za-z_.$*]", "?", name)


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    ruler = pathlib.Path(arguments[0]).resolve()
    addresses = sorted(traced(ruler, ENVIRONMENT) | traced(ruler, ENVIRONMENT | WITH_ROLE))
    size, ran = {}, set()
    for address, length, name in functions(ruler):
        size[name] = length
        after = bisect.bisect_left(addresses, address)
        if after < len(addresses) and addresses[after] < address + length:
            ran.add(name)
    kept, total = [], 0
    for glob in sorted({pattern(name) for name in ran}):
        alike = [name for name in size if fnmatch.fnmatchcase(name, glob)]
        of_start = [name for name in alike if name in ran]
        bytes_alike = sum(size[name] for name in alike)
        # A name that hundreds of others share would bring them all.
        if bytes_alike - sum(size[name] for name in of_start) < WINDOW * len(of_start):
            kept.append(glob)
            total += bytes_alike
    if not kept:
        sys.exit(f"{ruler}: no function was found: has it its symbols?")
    LIST.write_text(HEAD + "".join(f"{glob}\n" for glob in kept), encoding="utf-8")
    ran_bytes = sum(size[name] for name in ran)
    print(f"{LIST.name}: {len(ran)} functions of {ran_bytes / 1000:.0f} kB, by {len(kept)} names, with {total / 1000:.0f} kB in all")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
