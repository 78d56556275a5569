import re
from collections import Counter
from itertools import pairwise

import pytest

from cinescribe.cineworld.howto import HowTo, Narration, tell_howto
from cinescribe.cineworld.recipes import DEEDS, THINGS, TOOLS
from cinescribe.errors import UsageError

VIDEOS = [tell_howto(seed) for seed in range(300)]


def share(videos: list[HowTo], *kinds: str) -> float:
    counts = Counter(sentence.kind for video in videos for sentence in video.sentences)
    return sum(counts[kind] for kind in kinds) / sum(counts.values())


def says(thing: str, text: str) -> bool:
    return any(re.search(rf"\b{word}\b", text) for word in THINGS[thing].words)


def test_the_proportions_are_those_of_the_thesis() -> None:
    assert share(VIDEOS, "aligned", "early", "late", "unordered") == pytest.approx(0.30, abs=0.01)
    assert share(VIDEOS, "aligned") == pytest.approx(0.15, abs=0.01)
    assert min(share(VIDEOS, kind) for kind in ("early", "late", "unordered", "mention", "unshown")) > 0.02


@pytest.mark.parametrize(("alignable", "aligned"), [(0.4, 0.25), (0.2, 0.05), (0.3, 0.0)])
def test_the_proportions_are_parameters(alignable: float, aligned: float) -> None:
    videos = [tell_howto(seed, Narration(alignable, aligned, distractors=0.2)) for seed in range(150)]
    assert share(videos, "aligned", "early", "late", "unordered") == pytest.approx(alignable, abs=0.02)
    assert share(videos, "aligned") == pytest.approx(aligned, abs=0.03)
    assert share(videos, "mention", "unshown") == pytest.approx(0.2 * (1 - alignable), abs=0.02)


def test_kinds_are_true_of_the_times() -> None:
    for video in VIDEOS:
        for sentence in video.sentences:
            if not sentence.alignable:
                assert sentence.kind in ("chat", "mention", "unshown")
                continue
            step, middle = video.steps[sentence.step], (sentence.start + sentence.end) / 2
            if sentence.kind == "aligned":
                assert step.start <= middle < step.end
            elif sentence.kind == "early":
                assert middle < step.start
            elif sentence.kind == "late":
                assert middle >= step.end
            else:
                between = [
                    s
                    for s in video.steps
                    if min(step.end, middle) < s.end and s.start < max(step.start, middle)
                ]
                assert any(s is not step for s in between)


def test_alignable_sentences_name_what_is_shown_or_point_to_it() -> None:
    pronouns = 0
    for video in VIDEOS:
        before = ""
        for sentence in video.sentences:
            if sentence.alignable:
                thing = video.steps[sentence.step].thing
                if not says(thing, sentence.text):
                    pronouns += 1
                    assert re.search(r"\bthem\b" if THINGS[thing].plural else r"\bit\b", sentence.text)
                    assert says(thing, before) or re.search(r"\b(it|them)\b", before), (before, sentence.text)
            before = sentence.text
    assert pronouns > 100


def test_chat_names_nothing_of_the_video_and_what_is_unshown_is_never_shown() -> None:
    for video in VIDEOS:
        for sentence in video.sentences:
            if sentence.kind == "chat":
                assert not any(says(step.thing, sentence.text) for step in video.steps), sentence.text
            if sentence.kind == "unshown":
                for step in video.steps:
                    verbs = [word.partition("_")[0] for word in DEEDS[video.craft][step.deed].words]
                    of_it = [f"{verb} the {word}" for verb in verbs for word in THINGS[step.thing].words]
                    assert not any(re.search(rf"\b{done}\b", sentence.text) for done in of_it), sentence.text


def test_steps_are_possible_and_do_not_overlap() -> None:
    for video in VIDEOS:
        deeds = DEEDS[video.craft]
        assert video.steps[0].start > 0
        assert video.steps[-1].end < video.duration
        assert all(a.end <= b.start for a, b in pairwise(video.steps))
        for step in video.steps:
            assert step.thing in deeds[step.deed].things
            assert step.tool in (*deeds[step.deed].tools, "")


def test_every_word_list_is_of_known_concepts() -> None:
    for deeds in DEEDS.values():
        for deed in deeds.values():
            assert set(deed.things) <= set(THINGS)
            assert set(deed.tools) <= set(TOOLS)
            assert 0 <= deed.stage <= 9


def test_without_paraphrase_things_have_one_name_and_with_it_many() -> None:
    plain = [tell_howto(seed, Narration(paraphrase=0.0)) for seed in range(60)]
    for video in plain:
        for sentence in video.sentences:
            if sentence.alignable:
                assert THINGS[video.steps[sentence.step].thing].words[0] in sentence.text
    words = [
        len({w for v in videos for s in v.sentences for w in s.text.split()})
        for videos in (plain, VIDEOS[:60])
    ]
    assert words[1] > 1.2 * words[0]


@pytest.mark.parametrize(
    "wrong", [{"alignable": 0.0}, {"aligned": 0.4}, {"distractors": 1.2}, {"paraphrase": -0.1}]
)
def test_shares_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"share"):
        Narration(**wrong)
