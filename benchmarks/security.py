"""What secrecy and the audit log cost: `secrecy.py`, under the name by which it is asked for.

    python benchmarks/security.py [--quick] [--format json] [--only sealing,audit,merkle,verify,rotation,search]

Python looks for `security` beside a script first. A script of this folder that means our package gets it.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    from secrecy import main

    sys.exit(main())

_HERE = Path(__file__).resolve().parent
sys.path = [*(place for place in sys.path if Path(place).resolve() != _HERE), str(_HERE)]
del sys.modules[__name__]
__import__(__name__)
