"""`python -m dicomhouse`."""

import sys

from dicomhouse.cli import main

sys.exit(main())
