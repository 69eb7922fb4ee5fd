"""`chaser serve` that kills or stops itself at the n-th passing of a named point.

The program has no hooks for this: the methods of its real classes are wrapped here, before it starts. `CHAOS_POINT`
names the point (`points.POINTS`), `CHAOS_PASSING` the passing, from 1, `CHAOS_SIGNAL` the signal that it sends itself.
Or, with `CHAOS_LOSE`, it loses so many of its database's answers, by the chance of `CHAOS_SEED`.
"""

import os
import signal
import sys
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[2]))

from chaser.__main__ import main
from tests.chaos.points import POINTS, arm, lose_answers

if __name__ == "__main__":
    if name := os.environ.pop("CHAOS_POINT", None):
        how = signal.Signals[os.environ.pop("CHAOS_SIGNAL")]
        arm(POINTS[name], int(os.environ.pop("CHAOS_PASSING")), how)
    if share := os.environ.pop("CHAOS_LOSE", None):
        lose_answers(Random(os.environ.pop("CHAOS_SEED")), float(share))
    sys.argv = ["chaser", "serve"]
    main()
