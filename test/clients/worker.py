"""The worker that test/t/520_python_worker.pl kills; worker.mjs is its like on Node.js.

A workflow's steps are the strings in issue_cache -> 'steps'. "approve: QUESTION" asks a
person; "fail" fails, "retry" says when to try again; "deaf" blocks until the file
of --until is there, and looks at nothing meanwhile; "child" waits for a process, whose
id is in that file; "write" writes to public.notes in
a transaction of its own. Any other one sleeps.
"""
import argparse
import logging
import os
import subprocess
import time

import amelia

parser = argparse.ArgumentParser()
parser.add_argument("--name")
parser.add_argument("--lease", type=float, default=60)
parser.add_argument("--step", type=float, default=1)
parser.add_argument("--idle", type=float, default=1)
parser.add_argument("--once", action="store_true")
parser.add_argument("--until")
options = parser.parse_args()


def do(workflow, step):
    logging.info("%s: begins %s", workflow.id, step)
    if step == "fail":
        raise RuntimeError("this step always fails")
    if step == "retry":
        raise amelia.Retry("rate limit", after=86400)
    if step == "write":
        workflow.transact(
            lambda connection: connection.execute("INSERT INTO notes VALUES (%s)", (workflow.id,))
        )
    elif step == "child":
        subprocess.run(["sh", "-c", 'echo $$ > "$0"; exec sleep 1000000', options.until])
    elif step == "deaf":
        while not os.path.exists(options.until):
            time.sleep(0.05)
    else:
        time.sleep(options.step)
    workflow.book(
        workflow.worker,
        {"prompt_tokens": 100, "completion_tokens": 10},
        model="example",
        cost_usd=0.001,
    )
    return {"did": step}


def work(workflow):
    for number, step in enumerate((workflow.issue or {}).get("steps", ["look", "edit", "test"])):
        name = str(number)
        if name in workflow.results():
            continue
        paused = False
        while True:
            for message in workflow.messages():
                logging.info("%s: message %s", workflow.id, message.kind)
                paused = {"pause": True, "resume": False}.get(message.kind, paused)
            if not paused:
                break
            workflow.sleep(0.5)
        if step.startswith("approve:"):
            decision = workflow.ask(step.removeprefix("approve:").strip(), step=name)
            if not decision:
                raise amelia.Cancelled(decision.comment)
            workflow.step(name, lambda: None, agent=workflow.worker)
        else:
            workflow.step(name, do, workflow, step, agent=workflow.worker)
        logging.info("%s: did %s", workflow.id, step)


logging.basicConfig(level=logging.INFO, format="%(message)s")
amelia.Worker(
    os.environ["DATABASE_URL"], work, name=options.name, lease=options.lease, idle=options.idle
).run(once=options.once)
