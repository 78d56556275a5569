import numpy as np
import pytest

from cinescribe.encoders import words
from cinescribe.encoders.words import GLOVE, WORD2VEC, WordVectors
from cinescribe.errors import UsageError, WeightsError


@pytest.fixture(scope="module", params=[WORD2VEC, GLOVE])
def table(request):
    return WordVectors(request.param)


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_what_the_tables_hold(table):
    assert (len(table), table.dim) == {WORD2VEC: (26_423, 300), GLOVE: (400_000, 50)}[table.name]


def test_kin_words_are_near(table):
    (king, queen, cabbage) = table(["king", "queen", "cabbage"]).vectors[:, 0]
    assert cosine(king, queen) > 0.6 > 0.3 > cosine(king, cabbage)


def test_analogies(table):
    man, woman, king = table(["man", "woman", "king"]).vectors[:, 0]
    others = table(["queen", "prince", "throne", "ruler", "kingdom", "cabbage", "wife"]).vectors[:, 0]
    assert np.argmax([cosine(king - man + woman, other) for other in others]) == 0


def test_words_are_cut_lowered_and_padded(table):
    bags = table(["The dog's zzqqx, running QUICKLY!", "", "cat"])
    assert table.known_words("zzqqx: Running QUICKLY!") == ["running", "quickly"]
    assert bags.vectors.dtype == np.float32
    counts = bags.known.sum(1).tolist()
    assert counts[1:] == [0, 1]
    assert bags.vectors.shape == (3, counts[0], table.dim)
    assert not bags.vectors[~bags.known].any()
    np.testing.assert_array_equal(bags.vectors[2, 0], table(["CAT"]).vectors[0, 0])


def test_first_words_are_kept_and_rows_have_the_asked_length(table):
    bags = table(["red green blue", "red"], max_words=2)
    assert bags.vectors.shape == (2, 2, table.dim)
    np.testing.assert_array_equal(bags.vectors[0, 1], table(["green"]).vectors[0, 0])
    assert table(["red"], max_words=37).known.tolist() == [[True] + [False] * 36]
    assert table([]).vectors.shape == (0, 0, table.dim)


def test_mean_is_of_the_known_words_only(table):
    bags = table(["red zzqqx green", "zzqqx"], max_words=9)
    red, green = table(["red", "green"]).vectors[:, 0]
    np.testing.assert_allclose(bags.mean()[0], (red + green) / 2, atol=1e-6)
    assert np.isnan(bags.mean()[1]).all()


def test_word2vec_has_names_and_unit_length():
    table = WordVectors(WORD2VEC)  # the only one with capitals
    assert table.known_words("Jermaine cooks") == ["Jermaine", "cooks"]
    norms = np.linalg.norm(table(["dog cat"]).vectors[0], axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-5)


def test_unknown_table():
    with pytest.raises(UsageError, match=r"fasttext.*word2vec-googlenews-26k, glove-6b-50d"):
        WordVectors("fasttext")


def test_a_cut_file_is_an_error(tmp_path):
    (tmp_path / "cut.bin").write_bytes(b"2 3\none " + np.ones(3, "<f4").tobytes() + b"two " + b"\0" * 5)
    with pytest.raises(WeightsError, match=r"cut\.bin: ends after 1 of 2 words"):
        words._read_word2vec(tmp_path / "cut.bin")
