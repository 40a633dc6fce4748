"""Reads answers as botocore does, and holds them to its model of Amazon Managed Prometheus.

Each line of standard input is {"operation", "status", "body"}. What botocore makes of it is
printed as JSON, byte strings as text. The exit status is 1 where the model would not have it:
a member that is missing, of the wrong type, unknown, or not one of its values.
"""

import json
import sys
from datetime import datetime

import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.validate


def service():
    data = botocore.loaders.create_loader().load_service_model("amp", "service-2")
    return botocore.model.ServiceModel(data, "amp")


def wrong(shape, raw, parsed, at):
    """What the model has not, of what was sent (`raw`) and what was made of it (`parsed`)."""
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in parsed:
                yield f"{at}: {name} is missing"
        for name, value in raw.items():
            member = next(
                (m for m, s in shape.members.items() if s.serialization.get("name", m) == name),
                None,
            )
            if member is None:
                yield f"{at}: {name} is not in the model"
            elif member in parsed:
                yield from wrong(shape.members[member], value, parsed[member], f"{at}.{name}")
    elif shape.type_name == "timestamp":
        if not isinstance(raw, (int, float)) or not isinstance(parsed, datetime):
            yield f"{at}: {raw!r} is no number of seconds"
    elif shape.type_name == "string" and shape.enum and parsed not in shape.enum:
        yield f"{at}: {parsed!r} is none of {shape.enum}"


def readable(value):
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value))


def main():
    model = service()
    for line in sys.stdin:
        given = json.loads(line)
        shape = model.operation_model(given["operation"]).output_shape
        parser = botocore.parsers.create_parser(model.metadata["protocol"])
        answer = {
            "status_code": given["status"],
            "headers": {},
            "body": given["body"].encode(),
        }
        parsed = parser.parse(answer, shape)
        parsed.pop("ResponseMetadata", None)
        problems = list(wrong(shape, json.loads(given["body"]), parsed, given["operation"]))
        report = botocore.validate.ParamValidator().validate(parsed, shape)
        if report.has_errors():
            problems.append(report.generate_report())
        if problems:
            sys.exit("\n".join(problems))
        print(json.dumps(parsed, default=readable))


if __name__ == "__main__":
    main()
