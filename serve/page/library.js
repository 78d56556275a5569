// The films one can search, and examples of what can be asked, taken from what is really said in them.

import * as api from "./api.js";
import { byId, clock, element, hiddenText, spokenTime, still } from "./dom.js";
import { read, write } from "./query.js";

const EXAMPLES = 4;
let next = null;
let asked = "";

function card(film) {
  const kinds = new Set((film.tracks ?? []).map((track) => track.kind));
  const has = [kinds.has("descriptions") && "described", kinds.has("captions") && "dialogue",
    film.playable === false && "not playable here"].filter(Boolean);
  const address = write({ ...read(""), watch: film.film_id });
  return element("li", { className: "film" },
    still(film.thumbnail),
    element("h3", {}, element("a", { href: address, className: "open", "data-film": film.film_id }, film.title || film.film_id)),
    element("p", { className: "facts" },
      element("span", { "aria-hidden": "true" }, clock(film.duration)), hiddenText(spokenTime(film.duration)),
      has.length ? ` · ${has.join(" · ")}` : ""));
}

/** Fill the library from its beginning, or go on where it ended. Returns how many films came. */
export async function showFilms({ query = asked, further = false } = {}, signal) {
  const answer = await api.films({ after: further ? next : null, query }, signal);
  asked = query;
  next = answer.next;
  const cards = answer.films.map(card);
  if (further) byId("films").append(...cards);
  else byId("films").replaceChildren(...cards);
  if (further) cards[0]?.querySelector("a").focus();
  byId("library-more").hidden = !next;
  byId("library-find").hidden = !next && !query && byId("films").children.length < 9;
  const empty = byId("library-empty");
  empty.hidden = byId("films").children.length > 0;
  empty.textContent = query ? `No film is called like “${query}”.` : "No film is in the index yet.";
  if (!further && !query) showExamples(answer.films, signal);
  return cards.length;
}

/** Sentences of the films' own descriptions and dialogue as first questions; none where there are none. */
async function showExamples(films, signal) {
  const tracks = films.flatMap((film) => film.tracks ?? []).slice(0, 4);
  const lines = await Promise.all(tracks.map(async (track) => {
    try {
      return sentences(await api.track(track.src, signal));
    } catch {
      return []; // an example less
    }
  }));
  const picked = [];
  for (let round = 0; picked.length < EXAMPLES && round < EXAMPLES; round++) {
    for (const list of lines) {
      const line = list[Math.floor(((round + 0.5) / EXAMPLES) * list.length)];
      if (line && !picked.includes(line) && picked.length < EXAMPLES) picked.push(line);
    }
  }
  byId("examples").querySelector("ul").replaceChildren(...picked.map((line) =>
    element("li", {}, element("a", { href: write({ ...read(""), text: line }) }, line))));
  byId("examples").hidden = !picked.length || byId("library").hidden;
}

/** Short whole sentences of a WebVTT text, without tags and entities. */
function sentences(text) {
  const cues = text.replace(/\r\n?/g, "\n").split(/\n\n+/).filter((block) => block.includes("-->"));
  const lines = cues.map((block) => {
    const words = block.slice(block.indexOf("\n", block.indexOf("-->")) + 1).replace(/<[^>]*>/g, "");
    const entities = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&nbsp;": " ", "&lrm;": "", "&rlm;": "" };
    return words.replace(/&\w+;/g, (found) => entities[found] ?? found).replace(/\s+/g, " ").trim();
  });
  return lines.filter((line) => line.length >= 14 && line.length <= 60 && /[.?!]$/.test(line) && line.includes(" "))
    .map((line) => line.replace(/\.$/, ""));
}
