"""One process that tries case after case, each under limits of memory and processor time.

Reads numbers of cases, a line each; answers with a line of JSON when a case begins and when it has ended. A case that
passes a limit of the system's (a crash, processor time) ends the process, which whoever started it notices.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import random
import resource
import signal
import sys
import traceback
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from fuzz.contract import Area, known
from fuzz.sandbox import Sandbox

MOST_SECONDS = 20
"""Processor time of a case, of all threads together."""
MOST_BYTES = 2 * 2**30
"""Address space of a case, beyond what the process has when it begins."""


def main() -> None:
    """Answer numbers on stdin until it ends."""
    name, seed, root, models = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    module = import_module(name if "." in name else f"fuzz.areas.{name}")
    area: Area = module.make
    sandbox = Sandbox(Path(root), Path(models), writes_here=getattr(module, "WRITES_HERE", False))
    os.chdir(sandbox.cwd)
    faulthandler.enable()
    # Its own action, to end the process, follows: time spent inside a library is noticed too.
    faulthandler.register(signal.SIGPROF, chain=True)
    faulthandler.register(signal.SIGUSR1)
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        number = int(line)
        answers.write(json.dumps({"begun": number}) + "\n")
        kind, said = _tried(area, random.Random(f"{seed}/{name}/{number}"), sandbox)
        answers.write(json.dumps({"ended": number, "kind": kind, "said": said}) + "\n")


def _tried(area: Area, rng: random.Random, sandbox: Sandbox) -> tuple[str, str]:
    """How a case ended: `result`, `refusal` or `finding`, and what was said."""
    box = sandbox.fresh()
    try:
        attempt = area(rng, box)
    except Exception:  # rs2sam was not asked anything yet
        return "broken", traceback.format_exc()
    sandbox.remember()
    try:
        with _limits():
            try:
                attempt()
                kind, said = "result", ""
            except Exception as error:
                if not known(error):
                    raise
                kind, said = "refusal", f"{type(error).__name__}: {error}"
        sandbox.check(box, has_result=kind == "result")
    except BaseException as error:
        return "finding", _shown(error)
    return kind, said


class _limits(contextlib.AbstractContextManager[None]):  # noqa: N801 - used like a function, in a `with`
    """Processor time and address space of this process while a case runs."""

    def __enter__(self) -> None:
        with open("/proc/self/statm", encoding="ascii") as file:
            held = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MOST_BYTES, resource.RLIM_INFINITY))
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)

    def __exit__(self, *error: Any) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _shown(error: BaseException) -> str:
    """A traceback that is not longer than anybody reads."""
    text = "".join(traceback.format_exception(error))
    return text if len(text) < 6000 else f"{text[:2000]}\n...\n{text[-4000:]}"


if __name__ == "__main__":
    main()
