"""Compare the router and the fast path with the installed Starlette, by random requests.

`python -m benchmarks.fuzz_routing --requests 1000000 --processes 2`: prints how many requests were
about each of the semantics that are easy to get wrong, and each difference; returns 1 for any.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from random import SystemRandom

import starlette

from tests.routing_fuzz import CASES, Report, fuzz

PART = 20_000


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**9))
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    print(f"starlette {starlette.__version__}, seed {options.seed}")
    began, report = time.monotonic(), Report()
    parts = -(-options.requests // PART)
    with ProcessPoolExecutor(options.processes) as pool:
        seeds = (options.seed + number for number in range(parts))
        for done in as_completed([pool.submit(fuzz, seed, PART) for seed in seeds]):
            report.add(done.result())
    for case, what in CASES.items():
        print(f"{report.cases[case]:>9,}  {case}: {what}")
    seconds = time.monotonic() - began
    print(f"{report.requests:>9,}  requests in {seconds:.0f} s, each to all sides of a random tree")
    print(f"{len(report.differences):>9,}  differences")
    for difference in report.differences[:5]:
        print(difference)
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
