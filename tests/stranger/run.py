"""Scenarios of a stranger's client against a real server. Prints a line each and ends non-zero if one fails.

run.py --server 127.0.0.1:PORT --fingerprint HEX --kid NAME --secret BASE64URL [--vectors FOLDER] [NAME ...]
"""

import argparse
import asyncio
import pathlib
import sys
import time
import traceback

import frames  # noqa: F401: its scenarios, as those of all below
import logins  # noqa: F401
import messages  # noqa: F401
import polls  # noqa: F401
import previews  # noqa: F401
import transient  # noqa: F401
import endings  # noqa: F401
import syncing  # noqa: F401
import groups  # noqa: F401
import below  # noqa: F401
import personal  # noqa: F401
from world import CHECKS, SCENARIOS, World


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--fingerprint", required=True)
    parser.add_argument("--kid", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--vectors", default=pathlib.Path(__file__).parents[2] / "crates" / "protocol" / "vectors")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    world = World(options)
    failed = []
    chosen = [function for function in SCENARIOS if not options.names or function.__name__ in options.names]
    for function in chosen:
        start, checks = time.monotonic(), CHECKS[0]
        try:
            await asyncio.wait_for(function(world), 120)
            word = "holds"
        except Exception:
            failed.append(function.__name__)
            word = "FAILED"
            traceback.print_exc()
        print(f"stranger:   {function.__name__:<20} {word} {CHECKS[0] - checks:5} checks {time.monotonic() - start:6.2f} s", flush=True)
    print(f"stranger: {len(chosen) - len(failed)} of {len(chosen)} scenarios hold, {CHECKS[0]} checks", flush=True)
    if failed:
        print("stranger: failed: " + ", ".join(failed), flush=True)
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
