"""Finds a Python with NumPy: import it first. The build's Python may lack what the system's has; else the test is skipped."""
import os
import sys

try:
    import numpy  # noqa: F401
except ImportError:
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    print("SKIPPED: no NumPy (Debian: python3-numpy)")
    sys.exit(77)
