"""Alarms that ship with a bundle: rules whose bounds are its own figures, and who is told."""

from underlay.serve.alarms.alarm import Alarm as Alarm
from underlay.serve.alarms.alarm import Figure as Figure
from underlay.serve.alarms.writing import Rules as Rules
from underlay.serve.alarms.writing import Watched as Watched
from underlay.serve.alarms.writing import read_watched as read_watched
from underlay.serve.alarms.writing import rules_of as rules_of
from underlay.serve.alarms.writing import write as write
