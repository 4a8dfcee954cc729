"""Runs the diary alone."""

import sys

from libs.common.app import run
from libs.common.config import load_or_exit
from tests.integration.common.diary.app import Settings, app

sys.exit(run("diary", load_or_exit(Settings), app))
