#!/usr/bin/env python3
"""An exporter as that of the original recipe works: at each scrape, three times `ethtool` a device.

usage: ethtool_script.py ETHTOOL PORT REGEX

That exporter is not to be had from a package registry, so this does what it is known to do, and no
more: `ethtool -S`, `ethtool` and `ethtool -m`, one after the other, their output as a page. It has
no Prometheus client's work to do, so the real one takes more, not less.
"""

import http.server
import os
import re
import subprocess
import sys

ETHTOOL, PORT, DEVICES = sys.argv[1], int(sys.argv[2]), re.compile(sys.argv[3])


def said(*arguments):
    process = subprocess.run([ETHTOOL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return process.stdout


def page():
    lines = ["# TYPE node_net_ethtool gauge"]
    for device in sorted(filter(DEVICES.match, os.listdir("/sys/class/net"))):
        for line in said("-S", device).splitlines()[1:]:
            name, _, value = line.strip().partition(": ")
            if value:
                lines.append(f'node_net_ethtool{{device="{device}",type="{name}"}} {float(value)}')
        settings = dict(
            line.strip().partition(": ")[::2] for line in said(device).splitlines() if ": " in line
        )
        labels = ",".join(
            f'{key.lower().replace(" ", "_")}="{settings[key]}"'
            for key in ("Speed", "Duplex", "Port", "Link detected")
            if key in settings
        )
        lines.append(f'node_net_ethtool_info{{device="{device}",{labels}}} 1')
        said("-m", device)
    return "\n".join(lines).encode() + b"\n"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = page()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
