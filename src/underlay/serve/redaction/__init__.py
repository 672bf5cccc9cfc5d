"""Redaction of personal data and secrets, Chinese and English: linear in the text, and closed when it fails.

Imports `core` alone; RE2 and the telephone library come with the extra `redact`.
"""

from underlay.serve.redaction.finding import Span as Span
from underlay.serve.redaction.finding import find as find
from underlay.serve.redaction.json_text import redact_json as redact_json
from underlay.serve.redaction.placeholders import Numbering as Numbering
from underlay.serve.redaction.policy import KINDS as KINDS
from underlay.serve.redaction.policy import Policy as Policy
from underlay.serve.redaction.policy import rule_set as rule_set
from underlay.serve.redaction.redaction import FAILED as FAILED
from underlay.serve.redaction.redaction import MASKED as MASKED
from underlay.serve.redaction.redaction import Redaction as Redaction
from underlay.serve.redaction.redaction import ready as ready
from underlay.serve.redaction.redaction import redact as redact
