"""What the demo asks of the local AWS beside SAM.

usage: aws.py put-secret VALUE     prints the secret's ARN
       aws.py invoke FUNCTION=FILE prints what the function answers to the event in the file
       aws.py outputs STACK        prints the stack's outputs as JSON
       aws.py logs STACK           prints the last lines of its functions' logs

AWS_ENDPOINT_URL, AWS_DEFAULT_REGION and credentials come from the environment.
"""

import json
import sys

import boto3

LAST_LINES = 8


def put_secret(value):
    answer = boto3.client("secretsmanager").create_secret(Name="slack-webhook", SecretString=value)
    print(answer["ARN"])


def invoke(call):
    function, _, file = call.partition("=")
    with open(file, "rb") as event:
        answer = boto3.client("lambda").invoke(FunctionName=function, Payload=event.read())
    said = answer["Payload"].read().decode()
    if "FunctionError" in answer:
        sys.exit(said)
    print(said)


def outputs(stack):
    (found,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    print(json.dumps({output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}))


def logs(stack):
    resources = boto3.client("cloudformation").describe_stack_resources(StackName=stack)
    for resource in resources["StackResources"]:
        if resource["ResourceType"] == "AWS::Logs::LogGroup":
            group = resource["PhysicalResourceId"]
            events = boto3.client("logs").filter_log_events(logGroupName=group)["events"]
            print(f"{group}:")
            for event in events[-LAST_LINES:]:
                print(f"  {event['message'].rstrip()}")


COMMANDS = {"put-secret": put_secret, "invoke": invoke, "outputs": outputs, "logs": logs}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](sys.argv[2])
