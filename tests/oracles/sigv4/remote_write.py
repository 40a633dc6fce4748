"""Recomputes with botocore the signatures of remote writes, one after another.

Standard input: JSON lines. The first says what is to be signed with: access_key, secret_key, token
(or null), region, service. Each other one is a request as it arrived: method, path, headers (pairs),
body (hexadecimal). To each it answers one line: `right`, or what is wrong.
"""

import json
import re
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=(\S+), ?SignedHeaders=(\S+), ?Signature=([0-9a-f]{64})")


def difference(auth, request):
    """What is wrong with a request, or None."""
    headers = {name.lower(): value for name, value in request["headers"]}
    if len(headers) != len(request["headers"]):
        return "a header came twice"
    found = AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if not found:
        return f"no signature: {headers.get('authorization')!r}"
    scope, names, signature = found.group(1), found.group(2).split(";"), found.group(3)
    needed = {"host", "x-amz-date"}
    if auth.credentials.token is not None:
        needed.add("x-amz-security-token")
        if headers.get("x-amz-security-token") != auth.credentials.token:
            return "the session token is not the given one"
    if missing := needed - set(names):
        return f"not signed: {missing}"
    if missing := set(names) - headers.keys():
        return f"signed, and not sent: {missing}"

    again = AWSRequest(
        method=request["method"],
        url=f"https://{headers['host']}{request['path']}",
        headers={name: headers[name] for name in names},
        data=bytes.fromhex(request["body"]),
    )
    again.context["timestamp"] = headers["x-amz-date"]
    canonical = auth.canonical_request(again)
    if auth.scope(again) != scope:
        return f"the scope {scope!r} is not {auth.scope(again)!r}"
    if auth.signature(auth.string_to_sign(again, canonical), again) != signature:
        return f"another signature is right for {canonical!r}"
    return None


def main():
    given = json.loads(sys.stdin.readline())
    credentials = Credentials(given["access_key"], given["secret_key"], given["token"])
    auth = SigV4Auth(credentials, given["service"], given["region"])
    for line in sys.stdin:
        print(difference(auth, json.loads(line)) or "right", flush=True)


if __name__ == "__main__":
    main()
