"""Answers queries from an index; one searcher serves many threads."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.encoders.text import SentenceEncoder
from cinescribe.errors import UsageError, WeightsError
from cinescribe.models.jsfusion_rerank import MOST as RERANKED
from cinescribe.search import filters, fusion, seen
from cinescribe.search.database import explained
from cinescribe.search.embedding import EncodedText
from cinescribe.search.fusion import Hit
from cinescribe.search.labels import LabelWeigher
from cinescribe.search.query import ROLES_OF, SOURCES, TEXTS, Answer, Moment, Query, Source
from cinescribe.search.reranking import Reranker
from cinescribe.search.store import IndexedFilm, Store, model_of
from cinescribe.search.texts import TextSearch
from cinescribe.search.trained import ModelSearch, TrainedEncoder

LONGEST_TEXT = 2000  # characters of a query
MOST = 1000  # moments of an answer

_MARKS = '"\u201c\u201d\u201e'
_QUOTED = re.compile(f"[{_MARKS}]([^{_MARKS}]+)[{_MARKS}]")


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A query's text, made ready for the sources.

    Attributes:
        text: the words without quotation marks.
        quotes: what must be there literally.
        sentence: float16 [D], unit length: the vector of the text; None when it is empty.
        labels: visual words that mean something like it: label id -> weight in (0, 1].
        clip: float16 [D], unit length: CLIP's vector of the text; None without CLIP.
        model: the text as the index's trained model reads it; None without one, or where it knows no word.
        missing: why a source can't be asked whose network can't be had.
    """

    text: str
    quotes: tuple[str, ...]
    sentence: NDArray[np.float16] | None
    labels: Mapping[int, float]
    clip: NDArray[np.float16] | None
    model: EncodedText | None = None
    missing: Mapping[Source, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _State:
    """The index as it was when it was opened; threads that search keep theirs."""

    films: Mapping[str, IndexedFilm]
    texts: TextSearch | None
    words: seen.WordSearch | None
    clip: seen.ClipSearch | None
    clip_model: str
    model: ModelSearch | None


def check_form(query: Query) -> None:
    """Raise UsageError on a query that can't be meant of any index."""
    if not re.sub(f"[{_MARKS}\\s]", "", query.text) and query.frames is None:
        raise UsageError("the query is empty; say what to look for")
    if len(query.text) > LONGEST_TEXT:
        raise UsageError(f"the query has {len(query.text)} characters; at most {LONGEST_TEXT}")
    if not 1 <= query.limit <= MOST:
        raise UsageError(f"the limit is {query.limit}; from 1 to {MOST} moments")
    if query.frames is not None and (query.frames.ndim != 4 or not len(query.frames)):
        raise UsageError(f"the query's pictures are {query.frames.shape}; they must be [T, H, W, 3]")
    filters.check(query.filters)


class Searcher:
    """Searches the index of one root. Safe for many threads.

    What it has open is one state of the index; `refresh` goes on to the last one, and a replaced state can
    be read for an hour.

    Args:
        root: the folder or `s3://` prefix that was indexed.
        threads: of torch, for encoding queries; 0 leaves them.
        device: "cpu" or "cuda".
        reranker: folder of a JSFusion that scores the first moments of text queries anew; "" for none.

    Raises:
        UsageError: there is no index, or the re-ranker is none.
        WeightsError: the sentence encoder or the re-ranker can't be had.
    """

    def __init__(self, root: str, *, threads: int = 0, device: str = "cpu", reranker: str = "") -> None:
        self.root, self._store = root, Store(root)
        self._threads, self._device = threads, device
        self._encoding = threading.Lock()
        self._state = self._open(None)
        made_with = next((film.stamps["sentence"] for film in self._state.films.values()), "")
        self._sentences: SentenceEncoder = SentenceEncoder(made_with, device=device, threads=threads)
        self._matcher: LabelWeigher | None = None
        self._trained = TrainedEncoder(device)
        self._reranker = Reranker(root, Path(reranker), device) if reranker else None
        self._clip: Any = None
        self._clip_model = ""  # that it is of
        self._no_clip = ""  # why CLIP's weights can't be had

    def refresh(self) -> None:
        """Go on with what was committed to the index meanwhile."""
        before, self._state = self._state, self._open(self._state.model)
        if self._reranker is not None and self._state.films != before.films:
            self._reranker.forget()

    def films(self) -> Mapping[str, IndexedFilm]:
        """The films of the index, by id."""
        return self._state.films

    def _open(self, known: ModelSearch | None) -> _State:
        names = self._store.names()
        if "films" not in names:
            raise UsageError(f"{self._store.uri}: no index there; make one: cinescribe index {self.root}")
        films = self._store.films()
        tables = {name: self._store.open(name) for name in names}
        with explained(self._store.uri):
            tables = {name: table for name, table in tables.items() if table.count_rows()}
            model = _model_search(tables.get("model"), known)
        return _State(
            films=films,
            texts=TextSearch(tables["texts"]) if "texts" in tables else None,
            words=seen.WordSearch(tables["visuals"]) if "visuals" in tables else None,
            clip=seen.ClipSearch(tables["clip"]) if "clip" in tables else None,
            clip_model=next((film.clip_model for film in films.values() if film.clip_model), ""),
            model=model,
        )

    # ---- queries --------------------------------------------------------------------------------

    def encode(self, texts: Sequence[str]) -> list[EncodedQuery]:
        """Make the texts of queries ready, many at once."""
        plain = [" ".join(re.sub(f"[{_MARKS}]", " ", text).split()) for text in texts]
        state = self._state
        with self._encoding:  # the encoders have one set of threads anyway
            vectors = self._sentences.encode(plain)
            if state.words is not None and self._matcher is None and any(plain):
                self._matcher = LabelWeigher(self._sentences)
            clip = self._clip_encoder(state) if state.clip is not None and any(plain) else None
            labels = [
                self._matcher.weights(words, vector) if self._matcher is not None and words else {}
                for words, vector in zip(plain, vectors, strict=True)
            ]
            pictured = clip.encode_text(plain) if clip is not None else [None] * len(plain)
            trained = self._trained.of(state.model.model) if state.model and any(plain) else None
            alike = trained.encode_texts(plain) if trained is not None else [None] * len(plain)
            missing: dict[Source, str] = {"visual": self._no_clip, "model": self._trained.missing}
        return [
            EncodedQuery(
                text=words,
                quotes=tuple(" ".join(quote.split()) for quote in _QUOTED.findall(text) if quote.strip()),
                sentence=vector if words else None,
                labels=weights,
                clip=seen_as if words else None,
                model=read_as if words else None,
                missing=missing,
            )
            for text, words, vector, weights, seen_as, read_as in zip(
                texts, plain, vectors, labels, pictured, alike, strict=True
            )
        ]

    def search(self, query: Query) -> Answer:
        """Encode a query and find its moments. Raises UsageError on one that can't be meant."""
        return self.search_many([query])[0]

    def search_many(self, queries: Sequence[Query]) -> list[Answer]:
        """`search` for many, whose texts are encoded together."""
        for query in queries:
            self.check(query)
        encoded = self.encode([query.text for query in queries])
        return [self.find(one, query) for one, query in zip(encoded, queries, strict=True)]

    def check(self, query: Query) -> None:
        """Raise UsageError on a query that can't be meant, before anything is computed."""
        check_form(query)
        films = self._state.films
        for film_id in query.filters.films:
            if film_id not in films:
                near = ", ".join(sorted(films)[:3])
                raise UsageError(f"no film {film_id!r} in the index; it has {len(films)}, such as {near}")

    def find(self, encoded: EncodedQuery, query: Query) -> Answer:
        """The moments of an encoded query."""
        self.check(query)
        state = self._state
        wanted = set(query.filters.sources or SOURCES)
        if query.filters.speakers:
            wanted &= {"speech", "description"}  # what is seen or generated has no speaker
        if roles := set(query.filters.roles):
            wanted &= {source for source, its_roles in ROLES_OF.items() if roles & its_roles}
        hits: list[Hit] = []
        searched: list[Source] = []
        with explained(self._store.uri):
            for source, found in self._hits(state, encoded, query):
                if source in wanted:
                    searched.append(source)
                    hits += found()
        notes = list(self._notes(state, encoded, query, wanted, searched))
        reranker, most = self._reranker, MOST if encoded.quotes else query.limit
        if reranker is not None and (encoded.quotes or not encoded.text or query.frames is not None):
            notes.append("not re-ranked: that is for queries in words alone, without quotes or pictures")
            reranker = None
        moments = fusion.moments(hits, searched, max(most, RERANKED) if reranker else most)
        if encoded.quotes:  # what is seen adds to a moment, but says nothing literally
            literal = (TEXTS & {e.source for e in moment.why} for moment in moments)
            moments = tuple(m for m, said in zip(moments, literal, strict=True) if said)[: query.limit]
        if reranker is not None:
            anew = reranker.reorder(encoded.text, moments, state.films)
            moments = anew.moments[: query.limit]
            if anew.note:
                notes.append(anew.note)
        return Answer(_marked(moments, state.texts, encoded.text), tuple(notes))

    def _hits(self, state: _State, encoded: EncodedQuery, query: Query) -> Iterator[tuple[Source, Any]]:
        """The sources that can answer the query, each with what asks it."""
        texts, words, clip = state.texts, state.words, state.clip
        text, sentence, quotes = encoded.text, encoded.sentence, encoded.quotes
        if texts is not None and sentence is not None:
            yield "speech", lambda: texts.hits(text, sentence, quotes, query, "speech")
            yield "description", lambda: texts.hits(text, sentence, quotes, query, "description")
            if texts.generated:
                yield "generated", lambda: texts.hits(text, sentence, quotes, query, "generated")
        if words is not None and sentence is not None:
            yield "words", lambda: words.hits(encoded.labels, query)
        model, asked = state.model, encoded.model
        if model is not None and asked is not None and asked.model == model.model.identity:
            yield "model", lambda: model.hits(asked, query)
        if query.frames is not None:
            near = self.encode_frames(query.frames)
            assert clip is not None  # else encode_frames has said so
            yield "visual", lambda: clip.hits(near, seen.PICTURE_TO_PICTURE, query)
        elif clip is not None and encoded.clip is not None:
            pictured = encoded.clip
            yield "visual", lambda: clip.hits(pictured, seen.WORDS_TO_PICTURE, query)

    def encode_frames(self, frames: NDArray[np.uint8]) -> NDArray[np.float16]:
        """CLIP's vector of a picture or a clip: [D], the mean direction of its frames.

        Args:
            frames: uint8 [T, H, W, 3], RGB.

        Raises:
            UsageError: the index has no CLIP features, or CLIP's weights can't be had.
        """
        state = self._state
        if state.clip is None:
            raise UsageError(
                f"{self._store.uri}: to search by a picture or clip the index needs CLIP features; make them "
                f"with `cinescribe extract FILMS --encoders clip --out {self.root}` and index again"
            )
        with self._encoding:
            encoder = self._clip_encoder(state)
            if encoder is None:
                raise UsageError(f"to search by a picture or clip CLIP's weights are needed: {self._no_clip}")
            vectors = encoder.encode_frames(frames).astype(np.float32)  # [T, D]
        mean = (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)).mean(0)
        return (mean / max(float(np.linalg.norm(mean)), 1e-6)).astype(np.float16)

    def _clip_encoder(self, state: _State) -> Any:
        """CLIP as the index's features were made with; None when its weights can't be had."""
        if self._clip_model != state.clip_model:  # the index was made anew with another
            self._clip, self._no_clip, self._clip_model = None, "", state.clip_model
        if self._clip is None and not self._no_clip:
            from cinescribe.encoders import clip

            try:
                self._clip = clip.load(state.clip_model, device=self._device, threads=self._threads)
            except (WeightsError, UsageError) as error:
                self._no_clip = str(error)
        return self._clip

    def _notes(
        self, state: _State, encoded: EncodedQuery, query: Query, wanted: set[Source], searched: list[Source]
    ) -> Iterator[str]:
        """What the user should know of how the moments were found."""
        words = "words" in searched
        if encoded.sentence is not None and "visual" in wanted and "visual" not in searched:
            why = f"CLIP's weights can't be had ({encoded.missing.get('visual', '')})"
            if state.clip is None:
                why = "no CLIP features in this index"
            yield f"{why}: what is seen is {'searched by visual words' if words else 'not searched'}"
        if encoded.sentence is not None and "words" in wanted and not words:
            yield "no visual words in this index; `cinescribe extract --encoders objects,actions` makes them"
        if encoded.sentence is not None and "model" in wanted and "model" not in searched:
            if state.model is None and "model" in query.filters.sources:
                yield "no trained model has rows in this index; `cinescribe index --model` makes them"
            elif state.model is not None and encoded.missing.get("model"):
                told = encoded.missing["model"]
                yield f"the index's trained model can't be had and is not asked ({told})"
            elif state.model is not None and encoded.model is None:
                yield "the trained model knows none of these words and is not asked"
        if (query.filters.speakers or query.filters.roles) and not query.filters.sources:
            yield "only what is said and described is searched: what is seen has no speaker or role"
        if wanted == {"generated"} and "generated" not in searched:
            yield "no generated descriptions in this index; `cinescribe describe` makes them"
        if state.texts is None and wanted & {"speech", "description"}:
            yield "no speech in this index; `cinescribe transcribe` makes it"


def _model_search(table: Any, known: ModelSearch | None) -> ModelSearch | None:
    """What searches a table of a trained model's vectors; what is known already, where nothing changed."""
    model = model_of(table) if table is not None else None
    if model is None:
        return None
    if known is not None and (known.model, known.version) == (model, table.version):
        return known
    return ModelSearch(table, model)


def _marked(moments: Sequence[Moment], texts: TextSearch | None, query: str) -> tuple[Moment, ...]:
    """The moments with the query's words in what was said; what was recognised is marked already."""
    said = [e.text for m in moments for e in m.why if e.source in TEXTS]
    if texts is None or not said:
        return tuple(moments)
    matched = dict(zip(said, texts.matched(said, query), strict=True))
    return tuple(
        replace(m, why=tuple(replace(e, matched=matched.get(e.text, e.matched)) for e in m.why))
        for m in moments
    )
