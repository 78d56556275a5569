"""How TAN reads sentences: words whose encoder is trained with it, or a frozen sentence encoder.

mil-nce     the word encoder of MIL-NCE's published S3D, as in the paper; trained but for its word vectors
word2vec    the same network from nothing, over the word2vec vectors of the zoo
fresh       the same, the word vectors learned, too, for the words of the training data
another     a sentence encoder of the zoo or a folder, frozen
"""

import re
from collections import Counter
from collections.abc import Sequence

import torch

from cinescribe.models.word2vec_text import Word2VecText


def words_of(text: str, sentences: Sequence[str]) -> list[str]:
    """The vocabulary of a word encoder, in order; for "mil-nce" that of its file."""
    if text == "mil-nce":
        from cinescribe.encoders import s3d

        return s3d.read_words(_file(s3d.WORDS_FILE))
    counts = Counter(word for sentence in sentences for word in re.findall(r"[\w']+", sentence.lower()))
    words = sorted(counts)
    if text == "fresh":
        return words
    from cinescribe.encoders.words import WordVectors

    known = WordVectors()
    return [word for word in words if word in known]


def fill_words(tower: Word2VecText, text: str, words: Sequence[str]) -> None:
    """Give a word encoder the weights that its name promises."""
    if text == "mil-nce":
        from cinescribe.encoders import s3d
        from cinescribe.encoders.s3d_network import load_network

        source = _file(s3d.WEIGHTS_FILE)
        state, _ = s3d.read_weights(source)
        own = {
            name.removeprefix("text_module."): value
            for name, value in state.items()
            if name.startswith("text_module.")
        }
        load_network(tower, own, source)
    elif text == "word2vec":
        from cinescribe.encoders.words import WordVectors

        vectors = WordVectors()(words, 1).vectors[:, 0]  # [words, 300]
        with torch.no_grad():
            tower.word_embd.weight[0] = 0
            tower.word_embd.weight[1:] = torch.from_numpy(vectors)
    tower.word_embd.requires_grad_(text == "fresh")


def _file(name: str) -> str:
    from cinescribe import zoo
    from cinescribe.encoders import s3d

    return str(zoo.store_folder() / s3d.FOLDER / name)
