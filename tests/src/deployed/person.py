"""Runs a program on a terminal and answers what it asks, as a person would: each question when it
is asked, and with Enter, which takes what is offered, where nothing else is to be said.

usage: person.py ANSWERS PROGRAM ARGUMENT...

ANSWERS is JSON: the last words of a question, and the answer. Prints what the terminal showed, and
exits as the program did; with 3 if a question that there is an answer to was never asked, and with
4 if the program is not done in ten minutes: it waits for what is no question here.
"""

import json
import os
import pty
import re
import signal
import sys

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# What is offered stands in brackets: "Stack Name [dnswatch]: ".
QUESTION = re.compile(r"([^\r\n]*) \[[^\r\n]*\]: \Z")


def main(answers, program):
    process, terminal = pty.fork()
    if process == 0:
        os.execvp(program[0], program)
    shown = unanswered = b""
    asked = set()
    signal.signal(signal.SIGALRM, lambda *_: os.kill(process, signal.SIGHUP))
    signal.alarm(600)
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            # How the end of a terminal reads on Linux.
            break
        shown, unanswered = shown + piece, unanswered + piece
        question = QUESTION.search(COLOUR.sub("", unanswered.decode(errors="replace")))
        if question:
            words = [words for words in answers if question[1].strip().endswith(words)]
            asked.update(words)
            os.write(terminal, (answers[words[0]] if words else "").encode() + b"\n")
            unanswered = b""
    print(COLOUR.sub("", shown.decode(errors="replace")))
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status < 0:
        print("ended by a signal, or not done in time", file=sys.stderr)
        return 4
    never = set(answers) - asked
    if status == 0 and never:
        print(f"never asked: {sorted(never)}", file=sys.stderr)
        return 3
    return status


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1]), sys.argv[2:]))
