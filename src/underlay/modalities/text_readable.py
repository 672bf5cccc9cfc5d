"""Which entries of a vocabulary a text can give: some hold marks that are cut apart before entries are sought."""

import json

import numpy as np
from tokenizers import Tokenizer

from underlay.modalities.text_tokenizer import Subwords


def readable(subwords: Subwords) -> np.ndarray:
    """Ids that an encoded text may hold, int64, ascending; all of them where it is not known.

    Known it is of word pieces behind BERT's cutting, which sets every mark of punctuation apart: an entry such as
    `[unused17]`, of which its vocabularies hold a thousand, is never found. Ids that frame a text, pad a batch or stand
    for the unknown are among them.

    >>> file = '{"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", '
    >>> file += '"max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "[unused0]": 1, "film": 2, "##s": 3, ".": 4}}, '
    >>> file += '"pre_tokenizer": {"type": "BertPreTokenizer"}}'
    >>> readable(Subwords(file.encode())).tolist()
    [0, 2, 3, 4]
    """
    parsed = json.loads(subwords.file)
    everything = np.arange(subwords.size, dtype=np.int64)
    model, cutting = parsed["model"], parsed.get("pre_tokenizer") or {}
    if model.get("type") != "WordPiece" or cutting.get("type") != "BertPreTokenizer":
        return everything
    cut = Tokenizer.from_str(subwords.file.decode("utf-8")).pre_tokenizer.pre_tokenize_str
    mark = str(model["continuing_subword_prefix"])
    hidden = {number for entry, number in model["vocab"].items() if len(cut(entry.removeprefix(mark))) > 1}
    hidden -= {int(token["id"]) for token in parsed.get("added_tokens", [])}
    frame = (*subwords.prefix, *subwords.between, *subwords.suffix, subwords.padding, subwords.unknown)
    return np.setdiff1d(everything, sorted(hidden - {int(number) for number in frame}))
