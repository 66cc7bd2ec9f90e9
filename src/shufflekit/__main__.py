"""`python -m shufflekit` is the `shufflekit` command."""

import sys

from shufflekit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
