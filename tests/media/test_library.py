import os
from pathlib import Path

import pytest

from cinescribe.errors import MediaError, UsageError
from cinescribe.media.library import list_films


@pytest.fixture
def folder(tmp_path):
    for name in (
        "b.mp4",
        "sub/a.mkv",
        "sub/deep/c 100% #1\nü.mp4",
        ".hidden.mp4",
        ".git/x.mp4",
        "b.srt",
        "zero.MP4",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if "zero" in name else name.encode())
    return tmp_path


def _ids(*inputs):
    return [film.film_id for film in list_films([str(given) for given in inputs])]


def test_a_folder_gives_its_media_sorted_with_stable_ids(folder):
    assert _ids(folder) == ["b", "sub/a", "sub/deep/c 100% #1\nü", "zero"]
    films = {film.film_id: film for film in list_films([str(folder)])}
    assert films["sub/a"].uri == str(folder / "sub" / "a.mkv")
    assert (films["zero"].bytes, films["b"].bytes) == (0, 5)


def test_the_etag_tells_a_changed_file(folder):
    before = {film.film_id: film.etag for film in list_films([str(folder)])}
    (folder / "b.mp4").write_bytes(b"something else")
    after = {film.film_id: film.etag for film in list_films([str(folder)])}
    assert {film_id for film_id in after if after[film_id] != before[film_id]} == {"b"}


def test_two_files_of_one_name_keep_their_extension(folder):
    (folder / "b.mkv").write_bytes(b"x")
    assert _ids(folder) == ["b.mkv", "b.mp4", "sub/a", "sub/deep/c 100% #1\nü", "zero"]


def test_a_named_file_is_taken_whatever_it_is(folder):
    assert _ids(folder / "b.srt", folder / ".hidden.mp4") == [".hidden", "b"]


def test_globs_and_brackets(folder):
    assert _ids(folder / "**" / "*.m*") == ["b", "sub/a", "sub/deep/c 100% #1\nü"]
    (folder / "sub" / "[x].mp4").write_bytes(b"x")
    assert _ids(folder / "sub" / "[x].mp4") == ["[x]"]
    assert _ids(folder / "s*" / "*.mkv") == ["sub/a"]


def test_file_uris_are_decoded(folder):
    assert _ids((folder / "sub" / "deep").as_uri()) == ["c 100% #1\nü"]


def test_the_same_film_twice_is_one(folder):
    assert _ids(folder, folder / "b.mp4") == ["b", "sub/a", "sub/deep/c 100% #1\nü", "zero"]


def test_links_in_a_circle_end(folder):
    (folder / "sub" / "up").symlink_to(folder)
    assert "b" in _ids(folder)


def test_nothing_and_clashes_are_usage_errors(folder):
    for given in (folder / "nowhere", folder / "*.ogg"):
        with pytest.raises(UsageError, match="no film"):
            list_films([str(given)])
    other = folder / "sub" / "b.mp4"
    other.write_bytes(b"x")
    with pytest.raises(UsageError, match="common folder"):
        list_films([str(folder / "b.mp4"), str(other)])


@pytest.fixture
def films(bucket):
    for key in ("in/b.mp4", "in/sub/a 1%#ü.mkv", "in/b.vtt", "in2/z.mp4", "in/[x].mp4", "in/.h/x.mp4"):
        bucket.put_object(Bucket="films", Key=key, Body=key.encode())


@pytest.mark.usefixtures("films")
def test_s3_prefixes_globs_and_keys():
    assert _ids("s3://films/in") == _ids("s3://films/in/") == ["[x]", "b", "sub/a 1%#ü"]
    assert _ids("s3://films/in/*/*.mkv") == ["sub/a 1%#ü"]
    assert _ids("s3://films/in*/*.mp4") == ["in/[x]", "in/b", "in2/z"]
    assert _ids("s3://films/in/b.vtt") == ["b"]
    assert _ids("s3://films/in/[x].mp4") == ["[x]"]
    assert len(_ids("s3://films")) == 4
    (film,) = list_films(["s3://films/in2"])
    assert (film.uri, film.bytes, len(film.etag)) == ("s3://films/in2/z.mp4", 9, 32)


@pytest.mark.usefixtures("films")
def test_s3_nothing_there():
    with pytest.raises(UsageError, match="no film"):
        list_films(["s3://films/none"])
    with pytest.raises(MediaError, match="no such bucket") as caught:
        list_films(["s3://other/none"])
    assert caught.value.kind == "missing"
    assert "very-secret" not in str(caught.value)


def test_a_name_that_is_not_utf8_is_told(tmp_path):
    (tmp_path / "good.mp4").write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.mp4")).write_bytes(b"x")
    with pytest.raises(UsageError, match=r"bad.*not UTF-8.*rename") as error:
        list_films([str(tmp_path)])
    assert str(error.value).isprintable()
