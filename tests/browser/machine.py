"""Where the browser tests find the project, and a Chromium."""

import shutil
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
