"""The bodies of requests and replies, as `/openapi.json` describes them. Times are seconds."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cinescribe.search.query import Evidence, Filters, Query, Source
from cinescribe.utterance import Role

LONGEST_TEXT = 2000  # characters
_Name = Annotated[str, Field(min_length=1, max_length=1024)]
_Address = Annotated[str, Field(min_length=1, max_length=2048)]
_Seconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]


class SearchRequest(BaseModel):
    """What is looked for: words, a picture, a clip, or words with one of these."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field("", max_length=LONGEST_TEXT, description='words; those in "double quotes" literally')
    limit: int = Field(20, ge=1, le=100, description="most moments")
    films: list[_Name] = Field([], max_length=1000, description="in these films; empty: in all")
    start: _Seconds | None = Field(None, description="not before this time of the film")
    end: _Seconds | None = Field(None, description="not from this time of the film on")
    speakers: list[_Name] = Field([], max_length=100, description="said by one of these voices")
    roles: list[Role] = Field([], max_length=3, description="said in one of these roles")
    sources: list[Source] = Field([], max_length=4, description="only evidence of these kinds")
    image_uri: _Address | None = Field(None, description="address of a picture that the operator allowed")
    clip_uri: _Address | None = Field(None, description="address of a clip that the operator allowed")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError("start must be before end")
        if self.image_uri and self.clip_uri:
            raise ValueError("give a picture or a clip, not both")
        return self

    def query(self) -> Query:
        """The question without its picture or clip."""
        filters = Filters(
            films=tuple(self.films),
            start=self.start,
            end=self.end,
            speakers=tuple(self.speakers),
            roles=tuple(self.roles),
            sources=tuple(self.sources),
        )
        return Query(text=self.text, filters=filters, limit=self.limit)


class Why(BaseModel):
    """One reason why a moment was found."""

    source: Source
    start: float
    end: float
    text: str = Field(description="what was said or described, or what was recognised")
    speaker: str
    role: str
    rank: int = Field(description="among the hits of its source, from 1")
    similarity: float = Field(description="as the source measures it")
    share: float = Field(description="its part of the moment's score")
    matched: list[str] = Field(description="the query's words as they stand in the text")

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        """From the index's evidence."""
        names = ("source", "start", "end", "text", "speaker", "role", "rank", "similarity", "share")
        return cls(**{name: getattr(evidence, name) for name in names}, matched=list(evidence.matched))


class FoundMoment(BaseModel):
    """A stretch of a film, with the strongest reason first."""

    film_id: str
    title: str
    start: float
    end: float
    score: float
    why: list[Why]
    thumbnail: str = Field(description="address of a picture of it")
    media: str = Field(description="address of the film")


class SearchReply(BaseModel):
    """The moments found, the best first."""

    moments: list[FoundMoment]
    notes: list[str] = Field(description="what one should know of how they were found")
    took_ms: float


class Track(BaseModel):
    """A WebVTT file of a film, as an HTML `track` takes it."""

    kind: Literal["captions", "descriptions"]
    language: str
    label: str
    src: str


class FilmSummary(BaseModel):
    """A film of the library."""

    film_id: str
    title: str
    duration: float
    fps: float
    width: int
    height: int
    playable: bool = Field(description="false: browsers don't play such files; they are sent as they are")
    thumbnail: str
    media: str
    tracks: list[Track]


class Voice(BaseModel):
    """Somebody who speaks in a film."""

    speaker: str
    role: str
    seconds: float
    utterances: int


class FilmDetail(FilmSummary):
    """A film with what is known of it."""

    rotation: int
    audio_rate: int
    shots: int
    language: str
    speakers: list[Voice]


class FilmsReply(BaseModel):
    """A stretch of the list of films, by id."""

    films: list[FilmSummary]
    next: str | None = Field(description="give this as `after` for the following ones")


class SessionRequest(BaseModel):
    """A key, exchanged for a session cookie by the page."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=512)


class State(BaseModel):
    """Whether the service can answer."""

    status: Literal["ready", "alive"]
    films: int = 0
    rows: dict[str, int] = Field(default={}, description="of the index, by table")
