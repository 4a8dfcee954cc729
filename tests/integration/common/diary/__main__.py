"""Runs the diary alone."""

import sys

from libs.common.config import load_or_exit
from libs.common.process import run
from tests.integration.common.diary.app import Settings, app

sys.exit(run("diary", load_or_exit(Settings), app))
