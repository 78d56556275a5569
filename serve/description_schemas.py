"""The bodies of `/v1/descriptions`, as `/openapi.json` describes them. Times are seconds."""

from pydantic import BaseModel, ConfigDict, Field

from cinescribe.describe.corrections import LONGEST_AUTHOR, LONGEST_TEXT
from cinescribe.describe.placement import Reason


class DescriptionCue(BaseModel):
    """What is spoken, and when."""

    start: float
    end: float
    text: str


class Description(BaseModel):
    """The description of an interval of a film: the machine's text, or a person's in its place."""

    start: float = Field(description="of the interval that is described; with `end` it names the description")
    end: float
    text: str = Field(description='what holds; "" when a person took it out')
    generated: str = Field(description="the machine's text")
    score: float = Field(description="0 to 1: how sure the model was of its text, not how right it is")
    corrected: bool = Field(description="a person's text holds, or a person took the description out")
    author: str = Field(description='who corrected it, as they name themselves; "" when they do not')
    corrected_at: str = Field(description='when, UTC, ISO 8601; "" when nobody did')
    cue: DescriptionCue | None = Field(description="null: it is not spoken, for the reason given")
    reason: Reason = Field(description='"": it is spoken')
    room: float = Field(description="seconds of the longest place near the interval where it could be spoken")
    version: str = Field(description="changes with each correction; for If-Match, in quotes")


class DescriptionsReply(BaseModel):
    """The generated description of a film, by time."""

    film_id: str
    language: str
    words_per_minute: float = Field(description="the pace by which the length of a text is reckoned")
    weights: dict[str, str] = Field(description="what it was made with, by role")
    descriptions: list[Description]


class CorrectionRequest(BaseModel):
    """What takes the place of the machine's text."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(
        default="", max_length=LONGEST_TEXT, description="spoken whole or, without room, not at all"
    )
    removed: bool = Field(default=False, description="true, without a text: nothing is said there")
    author: str = Field(
        default="", max_length=LONGEST_AUTHOR, description="who corrects it, if they want it kept"
    )
