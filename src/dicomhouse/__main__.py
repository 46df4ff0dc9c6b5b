"""`python -m dicomhouse`."""

import sys
from pathlib import Path

if not sys.flags.safe_path and sys.path[:1] == [str(Path.cwd())]:
    del sys.path[0]  # what lies in the working folder is anybody's

from dicomhouse.cli import main

sys.exit(main())
