"""A job as a simulated runner is told of it: lines of words for a shell. Ours alone; the real messages are not documented.

`job <id> <run> <attempt> <event> <repository> <name>` and a `step <number> <always or success> <name> <script>` each, where
repository, name and script are base64.
"""

import base64

from chaser.simulator.payload import Job


def lines(job: Job) -> str:
    of = f"{job.run_id} {job.attempt} {job.event} {_base64(job.repository)}"
    made = [f"job {job.id} {of} {_base64(job.name)}"]
    made += [
        f"step {place} {'always' if step.always else 'success'} {_base64(step.name)} {_base64(step.run)}"
        for place, step in enumerate(job.steps, start=1)
    ]
    return "\n".join(made) + "\n"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
