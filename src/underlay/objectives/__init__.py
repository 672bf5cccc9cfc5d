"""What training minimises: a weighted sum of named terms, all of one shape."""

from underlay.objectives.binary_cross_entropy import binary_cross_entropy as binary_cross_entropy
from underlay.objectives.cross_entropy import cross_entropy as cross_entropy
from underlay.objectives.focal import focal as focal
from underlay.objectives.recipe import LOSSES as LOSSES
from underlay.objectives.recipe import LossEntry as LossEntry
from underlay.objectives.recipe import balanced_weights as balanced_weights
from underlay.objectives.recipe import build_objective as build_objective
from underlay.objectives.recipe import default_objective as default_objective
from underlay.objectives.recipe import default_recipe as default_recipe
from underlay.objectives.schedule import SCHEDULES as SCHEDULES
from underlay.objectives.schedule import constant as constant
from underlay.objectives.schedule import linear as linear
from underlay.objectives.squared_error import squared_error as squared_error
from underlay.objectives.term import Learner as Learner
from underlay.objectives.term import LossTerm as LossTerm
from underlay.objectives.term import Objective as Objective
from underlay.objectives.term import Schedule as Schedule
from underlay.objectives.term import State as State
from underlay.objectives.term import Step as Step
from underlay.objectives.term import Value as Value
from underlay.objectives.term import stateless as stateless
