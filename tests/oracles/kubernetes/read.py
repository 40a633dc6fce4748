"""Prints the documents of a YAML file, or of standard input, as a JSON list.

usage: read.py [FILE]
"""

import json
import sys

import yaml


def main(path="/dev/stdin"):
    with open(path, encoding="utf-8") as file:
        json.dump([document for document in yaml.safe_load_all(file) if document], sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
