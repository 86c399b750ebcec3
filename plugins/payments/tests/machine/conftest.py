"""What is beside these tests, and in the folder above, can be imported."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
