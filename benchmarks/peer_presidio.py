"""Presidio's predefined recognisers that need no language model, as a peer: texts on stdin as JSON, spans on stdout.

Runs in an environment of its own, with `presidio-analyzer` in it; it is no dependency of this project. Scores below 0.4
are left out: it is what Presidio's own recognisers give to a shape without a checksum or a word beside it.
"""

import json
import sys
from typing import Any

THRESHOLD = 0.4


def recognisers() -> list[Any]:
    """Those for English, by pattern and checksum."""
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        EmailRecognizer,
        IbanRecognizer,
        IpRecognizer,
        PhoneRecognizer,
        UsSsnRecognizer,
    )

    kinds = (CreditCardRecognizer, EmailRecognizer, IbanRecognizer, IpRecognizer, PhoneRecognizer, UsSsnRecognizer)
    return [kind(supported_language="en") for kind in kinds]


def main() -> None:
    """Answer each line with what was found in it."""
    asked = recognisers()
    for line in sys.stdin:
        text = json.loads(line)
        found = [
            (result.entity_type, result.start, result.end)
            for one in asked
            for result in one.analyze(text, one.supported_entities, None) or []
            if result.score >= THRESHOLD
        ]
        print(json.dumps(found))


if __name__ == "__main__":
    main()
