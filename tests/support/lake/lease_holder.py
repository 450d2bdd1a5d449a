"""`python -m tests.support.lake.lease_holder NAME SECONDS`: holds a lease until it is killed; prints its fence."""

from __future__ import annotations

import sys
import threading

from shared.lake.objects import Objects
from shared.lake.settings import LakeSettings
from shared.runs.lease import FOLDER, Leases

if __name__ == "__main__":
    with Leases(Objects(LakeSettings(), FOLDER)).hold(sys.argv[1], float(sys.argv[2])) as held:
        print(held.fence, flush=True)
        threading.Event().wait()
