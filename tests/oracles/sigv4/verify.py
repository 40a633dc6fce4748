"""Recomputes with botocore the signatures of requests that a server received.

Standard input: JSON lines. The first says what the requests were signed with: access_key,
secret_key, token (or null), region, service. Each other one is a request as it arrived: method,
path, headers (pairs), body, and query, the expression that was asked.

Exits 0 if every signature is the one that botocore computes and every form holds the expression,
and prints how many there were; prints what differs and exits 1 otherwise.
"""

import json
import sys
from urllib.parse import parse_qs

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def difference(auth, request):
    """What is wrong with a request, or None."""
    headers = {name.lower(): value for name, value in request["headers"]}
    if len(headers) != len(request["headers"]):
        return "a header came twice"
    signed = {"content-type", "host", "x-amz-date"}
    if auth.credentials.token is not None:
        signed.add("x-amz-security-token")
        if headers.get("x-amz-security-token") != auth.credentials.token:
            return "the session token is not the given one"
    if missing := signed - headers.keys():
        return f"not sent: {missing}"

    again = AWSRequest(
        method=request["method"],
        url=f"http://{headers['host']}{request['path']}",
        headers={name: headers[name] for name in signed},
        data=request["body"].encode(),
    )
    again.context["timestamp"] = headers["x-amz-date"]
    canonical = auth.canonical_request(again)
    to_sign = auth.string_to_sign(again, canonical)
    expected = (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(again)}, "
        f"SignedHeaders={';'.join(sorted(signed))}, "
        f"Signature={auth.signature(to_sign, again)}"
    )
    if headers.get("authorization") != expected:
        return f"{headers.get('authorization')!r} is not {expected!r}\n{canonical}"

    form = parse_qs(request["body"], keep_blank_values=True, strict_parsing=True)
    if form.get("query") != [request["query"]]:
        return f"the form asks {form.get('query')!r}, not {request['query']!r}"
    return None


def main():
    lines = [json.loads(line) for line in sys.stdin]
    given, requests = lines[0], lines[1:]
    credentials = Credentials(given["access_key"], given["secret_key"], given["token"])
    auth = SigV4Auth(credentials, given["service"], given["region"])
    wrong = 0
    for number, request in enumerate(requests):
        if found := difference(auth, request):
            wrong += 1
            print(f"request {number}: {found}")
    print(f"{len(requests)} requests, {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
