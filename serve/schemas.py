"""The bodies of requests and replies, as `/openapi.json` describes them. Times are seconds."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cinescribe.describe.clips import Style
from cinescribe.search.query import Evidence, Filters, Query, Role, Source

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
    roles: list[Role] = Field([], max_length=5, description="words of one of these")
    sources: list[Source] = Field([], max_length=6, description="only evidence of these kinds")
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
    reranked: float | None = Field(
        None, description="the re-ranker's score, which counts beside `score` in the order; null: not asked"
    )
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
    machine_made: bool = Field(
        default=False, description="a machine described what it saw; nobody need have checked"
    )


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


_Line = Annotated[str, Field(min_length=1, max_length=500)]


class CaptionRequest(BaseModel):
    """A clip to be described: a stretch of a film of the library, a file, or what is at an address."""

    model_config = ConfigDict(extra="forbid")

    film: _Name | None = Field(None, description="id of a film of the library; needs start and end")
    start: _Seconds | None = Field(None, description="of the stretch; of a clip that is sent, by default 0")
    end: _Seconds | None = Field(
        None, description="of the stretch; of a clip that is sent, by default its end"
    )
    context: list[_Line] = Field(
        [], max_length=32, description="descriptions of what came before, in order; the model reads the last"
    )
    subtitles: list[_Line] | None = Field(
        None, max_length=32, description="dialogue before, in order; absent: what the film's speech has"
    )
    names: list[_Name] = Field(
        [], max_length=200, description="of the characters, for a model that reads names alone"
    )
    style: Style = Field(
        "careful", description="careful: the best of five beams; quick: each next word the likeliest"
    )
    uri: _Address | None = Field(None, description="address of a clip that the operator allowed")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.film is not None and self.uri is not None:
            raise ValueError("give a film or an address, not both")
        if self.film is not None and (self.start is None or self.end is None):
            raise ValueError("a film needs start and end, in seconds")
        if self.end is not None and (self.start or 0.0) >= self.end:
            raise ValueError("start must be before end")
        return self


class CaptionModel(BaseModel):
    """The model that wrote a description."""

    name: str = Field(description="the last two parts of its folder's path")
    weight: str = Field(description="digits of the SHA-256 of its files")


class CaptionFeatures(BaseModel):
    """What the model saw of a clip."""

    encoder: str = Field(description="as in the table features/ENCODER")
    hz: float = Field(description="features a second, of which it saw `frames`, evenly spread")
    frames: int


class CaptionReply(BaseModel):
    """A description that a machine wrote, which may be wrong."""

    text: str = Field(description="one sentence; empty when the model said nothing")
    score: float = Field(description="0..1, how sure the model was: not how right")
    film: str | None = Field(description="null: of a clip that was sent")
    start: float
    end: float
    style: Style
    model: CaptionModel
    features: CaptionFeatures
    machine_made: Literal[True] = True
    took_ms: float


class SessionRequest(BaseModel):
    """A key, exchanged for a session cookie by the page."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=512)


class State(BaseModel):
    """Whether the service can answer."""

    status: Literal["ready", "alive"]
    films: int = 0
    rows: dict[str, int] = Field(default={}, description="of the index, by table")
    captions: bool = Field(default=False, description="whether POST /v1/captions has a model")
