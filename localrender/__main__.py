"""`python -m localrender`."""

import sys

from localrender.cli import main

if __name__ == "__main__":
    sys.exit(main())
