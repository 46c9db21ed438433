"""`python -m nmt` is `nmt`."""

import sys

from nmt.commands.main import entry

if __name__ == "__main__":
    sys.exit(entry())
