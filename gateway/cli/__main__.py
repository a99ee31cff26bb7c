"""python -m gateway.cli: the same as twin."""

import sys

from gateway.cli import main

sys.exit(main())
