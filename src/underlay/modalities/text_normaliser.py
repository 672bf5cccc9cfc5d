"""One normal form of a text, the same for training, serving and redaction.

What looks the same to a reader becomes the same string: compatibility forms, invisible characters
and controls go; joiners stay where a script or an emoji needs them.
"""

import re
import unicodedata

from underlay.core import RowError

NEUTRAL = "\ufffc"
"""The text without content: OBJECT REPLACEMENT CHARACTER, which stands for something that is not there."""

LONGEST_MARK_RUN = 30
"""More combining marks than this on one letter is no language (Unicode's stream-safe bound, UAX 15)."""

_LINE_ENDS = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_SPACES = re.compile(r"[\t\x0b\x0c\x1c-\x1f]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # controls
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners, fillers, selectors
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\uffa0"  # zero width, direction, blank glyphs
    "\ufe00-\ufe0f\ufeff\ufff0-\ufffc\U000e0000-\U000e0fff]"  # variation selectors, BOM, tags
)
_EMOJI = "\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_JOINING = "\u0600-\u07ff\u0840-\u0dff\u1000-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc"  # Arabic to Mongolian
_STRAY_JOINER = re.compile(
    f"(?<![{_EMOJI}{_JOINING}])[\u200c\u200d]+|(?<=[{_EMOJI}])[\u200c\u200d]+(?![{_EMOJI}\u200c\u200d])"
    f"|(?<=[\u200c\u200d])[\u200c\u200d]+"
)
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_LOOKALIKE = re.compile(r"[\u0370-\u03ff\u0400-\u052f]")
_WORD = re.compile(r"\w+")


def normalise(text: str) -> str:
    """The normal form of `text`; normalising it again changes nothing.

    Raises:
        RowError: `invalid_text` for lone surrogates, `text_malformed` for towers of combining marks.

    >>> normalise("ｆｕｌｌ\\u200b-width")
    'full-width'
    """
    if text.isascii() and text.isprintable():
        return text
    _refuse_malformed(text)
    return unicodedata.normalize("NFKC", _visible(unicodedata.normalize("NFKC", _visible(text))))


def notices(text: str) -> tuple[str, ...]:
    """Codes of what a reader would not see in `text`: `invisible_removed`, `mixed_script`.

    >>> notices("p\\u0430ypal")
    ('mixed_script',)
    """
    found = []
    if _visible(text) != _LINE_ENDS.sub("\n", _SPACES.sub(" ", text)):
        found.append("invisible_removed")
    if any(_LATIN.search(word) and _LOOKALIKE.search(word) for word in _WORD.findall(text)):
        found.append("mixed_script")
    return tuple(found)


def _visible(text: str) -> str:
    text = _SPACES.sub(" ", _LINE_ENDS.sub("\n", text))
    return _STRAY_JOINER.sub("", _INVISIBLE.sub("", text))


def _refuse_malformed(text: str) -> None:
    distinct = set(text)
    if any("\ud800" <= character <= "\udfff" for character in distinct):
        raise RowError("the text holds half a character (a lone surrogate)", "write it as UTF-8", code="invalid_text")
    marks = "".join(character for character in distinct if unicodedata.category(character) in ("Mn", "Me"))
    # Checked before NFKC, whose sorting of marks takes quadratic time on such towers.
    if marks and re.search(f"[{re.escape(marks)}]{{{LONGEST_MARK_RUN + 1},}}", text):
        raise RowError(
            f"the text stacks more than {LONGEST_MARK_RUN} combining marks on one letter",
            "remove the decoration",
            code="text_malformed",
        )
