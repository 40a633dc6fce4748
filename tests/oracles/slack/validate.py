"""Reads Slack messages with slack_sdk's models, which know Block Kit.

Standard input: JSON lines, each the body of a post to an incoming webhook. Exits 0 if each block
is one that the models know, within their limits, and says all that was sent, and prints how many
messages there were; prints what is wrong and exits 1 otherwise.
"""

import json
import sys

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.attachments import BlockAttachment
from slack_sdk.models.blocks import Block


def read(block):
    """A block as the model, which must hold all that was sent."""
    model = Block.parse(block)
    if model is None:
        raise SlackObjectFormationError(f"no block: {block}")
    again = model.to_dict()
    if again != block:
        raise SlackObjectFormationError(f"{block} became {again}")
    return model


def difference(message):
    """What is wrong with a message, or None."""
    try:
        for block in message.get("blocks", []):
            read(block)
        for attachment in message.get("attachments", []):
            blocks = [read(block) for block in attachment["blocks"]]
            model = BlockAttachment(
                blocks=blocks, color=attachment["color"], fallback=attachment["fallback"]
            )
            if model.to_dict() != attachment:
                return f"{attachment} became {model.to_dict()}"
    except SlackObjectFormationError as error:
        return str(error)
    return None


def main():
    wrong = 0
    messages = [json.loads(line) for line in sys.stdin]
    for number, message in enumerate(messages):
        if found := difference(message):
            wrong += 1
            print(f"message {number}: {found}")
    print(f"{len(messages)} messages, {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
