"""`python -m nmt` is `nmt`."""

import sys

from nmt.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
