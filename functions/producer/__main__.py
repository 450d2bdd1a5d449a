"""`python -m functions.producer`."""

import sys

from functions.producer.main import main

sys.exit(main())
