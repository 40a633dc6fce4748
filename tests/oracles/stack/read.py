"""Prints the template as JSON, and what the services call what code can ask of them.

usage: read.py TEMPLATE SERVICE...

{"template": {...}, "actions": {SERVICE: {"get_item": "dynamodb:GetItem", ...}, ...}}
"""

import json
import sys

import botocore.session
from botocore import xform_name
from samcli.yamlhelper import yaml_parse


def actions(service):
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): f"{model.signing_name}:{name}" for name in model.operation_names}


def main(template, services):
    with open(template, encoding="utf-8") as file:
        read = yaml_parse(file.read())
    json.dump({"template": read, "actions": {name: actions(name) for name in services}}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
