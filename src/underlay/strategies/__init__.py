"""Ways to learn, each wiring the rooms from data to bundle."""

from underlay.strategies.fine_tune import FineTuned as FineTuned
from underlay.strategies.fine_tune import fine_tune as fine_tune
from underlay.strategies.recipe import PRESETS as PRESETS
from underlay.strategies.recipe import Recipe as Recipe
