"""The ruler's clients as a function in Python has them, and one use of each.

What `make bench` compares the ruler's start with. It evaluates no rules: it only makes the calls
that a run makes, so that no import and no client is idle.

As a program, given the URL of a server and a certificate to trust, it says how many milliseconds
its first request takes, and how many its second, both over a new connection.
"""

import os
import sys
import time

import boto3
import requests
import yaml
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

SESSION = boto3.Session()
AMP = SESSION.client("amp")
DYNAMODB = SESSION.client("dynamodb")
SNS = SESSION.client("sns")
STS = SESSION.client("sts")
HTTP = requests.Session()


def query(endpoint, expression):
    """How many series an expression has now, by a query signed as the role that may ask."""
    role = STS.assume_role(RoleArn=os.environ["QUERY_ROLE_ARN"], RoleSessionName="bench")["Credentials"]
    reader = boto3.Session(role["AccessKeyId"], role["SecretAccessKey"], role["SessionToken"])
    request = AWSRequest("POST", f"{endpoint}api/v1/query", data={"query": expression})
    SigV4Auth(reader.get_credentials(), "aps", SESSION.region_name).add_auth(request)
    prepared = request.prepare()
    answer = HTTP.post(prepared.url, data=prepared.body, headers=dict(prepared.headers), timeout=30)
    answer.raise_for_status()
    return len(answer.json()["data"]["result"])


def handler(_event, _context):
    workspace, table = os.environ["AMP_WORKSPACE"], os.environ["STATE_TABLE"]
    key = {"id": {"S": workspace}, "part": {"S": "state"}}
    endpoint = AMP.describe_workspace(workspaceId=workspace)["workspace"]["prometheusEndpoint"]
    with open(f"{os.environ['CONFIG_DIR']}/rules.yml", encoding="utf-8") as file:
        groups = yaml.safe_load(file)["groups"]
    last_run = DYNAMODB.get_item(TableName=table, Key=key).get("Item", {}).get("last_run")
    firing = sum(query(endpoint, rule["expr"]) for group in groups for rule in group["rules"])
    now = {"N": str(firing)}
    DYNAMODB.put_item(TableName=table, Item=key | {"last_run": now})
    if now != last_run:
        SNS.publish(TopicArn=os.environ["TOPIC_ARN"], Subject="alerts", Message=f"{firing} are firing")
    return {"firing": firing}


def handshakes(url, certificate):
    for _ in range(2):
        began = time.perf_counter()
        HTTP.get(url, verify=certificate, timeout=10).raise_for_status()
        print((time.perf_counter() - began) * 1000)


if __name__ == "__main__":
    handshakes(*sys.argv[1:])
