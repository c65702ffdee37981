"""The Glue job's script in a process of its own, with its lanes in turn and not as tasks of Spark: begun quickly.

python glue_job.py --JOB_RUN_ID … (the arguments of a run)
"""

from __future__ import annotations

import sys

from downstage.engines.serial import SerialEngine
from downstage.jobs import glue_main

if __name__ == "__main__":
    sys.exit(glue_main.main(sys.argv[1:], lambda _at_once: SerialEngine()))
