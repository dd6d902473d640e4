"""Measure: python -m bench [extract_merge ...]; PEER=1 also measures MemBrain-seg, in turn.

Machines are noisy, so ratios within one run count, not seconds.
"""

import importlib
import sys

SUITES = ("extract_merge", "catalog", "viewer", "painter", "sharing", "proposals")


def main() -> int:
    wanted = sys.argv[1:] or SUITES
    unknown = set(wanted) - set(SUITES)
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(SUITES)}")
        return 2
    for name in wanted:
        importlib.import_module(f"bench.{name}").run()
    return 0


sys.exit(main())
