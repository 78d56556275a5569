// The moments found, and for each why: where it comes from, the quote with the words marked, who, how much.

import { byId, clock, counted, element, hiddenText, spokenTime, still, who } from "./dom.js";
import { write } from "./query.js";

const SHOWN = 2; // reasons shown at once; the others open on request

/** `text` with each of `words` in <mark>: whole words first, for "cat" must not mark the "cat" of "catch". */
export function marked(text, words) {
  const literal = words.filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (!literal.length) return [text];
  const edge = "[\\p{L}\\p{N}]";
  const pattern = new RegExp(`(?<!${edge})(?:${literal.sort((a, b) => b.length - a.length).join("|")})(?!${edge})`, "giu");
  const pieces = [];
  let last = 0;
  for (const found of text.matchAll(pattern)) {
    pieces.push(text.slice(last, found.index), element("mark", {}, found[0]));
    last = found.index + found[0].length;
  }
  return [...pieces, text.slice(last)].filter((piece) => piece !== "");
}

/** The kind of evidence in words, and the class its colour hangs on. */
function kind(evidence) {
  if (evidence.source === "description") return ["Described", "described-kind"];
  if (evidence.source === "generated") {
    return evidence.role === "corrected" ? ["Machine-made description, corrected by a person", "corrected-kind"]
      : ["Machine-made description", "machine-kind"];
  }
  if (evidence.source === "speech") return ["Said", "said-kind"];
  if (evidence.source === "model") return ["Found by a trained model", "seen-kind"];
  return [evidence.source === "words" ? "Recognised" : "Seen", "seen-kind"];
}

function quote(evidence, state) {
  if (["speech", "description", "generated"].includes(evidence.source)) {
    return element("blockquote", {}, element("p", {}, ...marked(evidence.text, evidence.matched ?? [])));
  }
  if (evidence.source === "words") {
    return element("p", {}, "In the picture: ", ...marked(evidence.text, evidence.matched ?? []));
  }
  if (evidence.source === "model") return element("p", {}, "A trained model finds it alike.");
  const what = state.given ? (state.text ? "what you gave" : "yours") : "your words";
  return element("p", {}, `The picture is like ${what}.`);
}

function reason(evidence, moment, state) {
  const [name, style] = kind(evidence);
  const share = moment.score > 0 ? Math.round((100 * evidence.share) / moment.score) : 0;
  const speaks = evidence.source === "speech" && who(evidence.speaker, evidence.role);
  const bar = element("span", { className: "bar", "aria-hidden": "true" }, element("span"));
  bar.firstChild.style.inlineSize = `${Math.min(100, share)}%`; // CSSOM: allowed where style attributes aren't
  const facts = element("p", { className: "facts" },
    element("a", { href: write({ ...state, watch: moment.film_id, time: evidence.start }), className: "time" },
      hiddenText(`Play from ${spokenTime(evidence.start)}`),
      element("span", { "aria-hidden": "true" }, clock(evidence.start))),
    bar, element("span", {}, `${share}% of the score`));
  return element("li", { className: style },
    element("p", { className: "kind" }, name, speaks ? element("span", {}, ` by ${speaks}`) : null),
    quote(evidence, state), facts);
}

function card(moment, state) {
  const long = moment.end - moment.start;
  const address = write({ ...state, watch: moment.film_id, time: moment.start });
  const title = element("h3", {},
    element("a", { href: address, className: "open", "data-film": moment.film_id, "data-time": moment.start },
      moment.title || moment.film_id, hiddenText(`, from ${spokenTime(moment.start)}`)));
  const when = element("p", { className: "facts" },
    element("span", { "aria-hidden": "true" }, `${clock(moment.start)} – ${clock(moment.end)}`),
    hiddenText(`Until ${spokenTime(moment.end)}, ${spokenTime(Math.max(1, long))} long`),
    moment.why.length > 1 ? ` · ${counted(moment.why.length, "reason")}` : "");
  const reasons = moment.why.map((evidence) => reason(evidence, moment, state));
  const list = element("ul", { className: "why", "aria-label": "Why it was found" }, ...reasons.slice(0, SHOWN));
  const others = reasons.slice(SHOWN);
  const rest = others.length
    ? element("details", {}, element("summary", {}, counted(others.length, "further reason")),
      element("ul", { className: "why", "aria-label": "Further reasons" }, ...others))
    : null;
  return element("li", { className: "moment" }, still(moment.thumbnail),
    element("article", {}, title, when, list, rest));
}

/** Put an answer on the page; returns the sentence that announces it. */
export function showAnswer(answer, state, took) {
  const found = answer.moments.length;
  const asked = [state.text && `“${state.text}”`, state.given && `your ${state.given}`].filter(Boolean).join(" and ");
  byId("results-title").textContent = found ? `${counted(found, "moment")} for ${asked}` : `Nothing found for ${asked}`;
  const films = new Set(answer.moments.map((moment) => moment.film_id)).size;
  byId("results-facts").textContent = found
    ? `In ${counted(films, "film")}, the best first. ${took}`
    : "Try fewer or other words, or clear the filters. What is described is often worded otherwise than one remembers it.";
  byId("results-notes").replaceChildren(...(answer.notes ?? []).map((note) => element("li", {}, note)));
  byId("moments").replaceChildren(...answer.moments.map((moment) => card(moment, state)));
  return found ? `${counted(found, "moment")} found in ${counted(films, "film")}.` : `Nothing found for ${asked}.`;
}

/** The shape of what is coming, while it is coming. */
export function showWaiting() {
  byId("results-title").textContent = "Searching…";
  byId("results-facts").textContent = "";
  byId("results-notes").replaceChildren();
  const blank = () => element("li", { className: "moment blank", "aria-hidden": "true" },
    element("div", { className: "still" }), element("div", {}, element("span"), element("span"), element("span")));
  byId("moments").replaceChildren(blank(), blank(), blank());
}

/** The link to the moment that was opened, to come back to it. */
export function linkOf(film, time) {
  const links = [...document.querySelectorAll("#moments a.open")].filter((link) => link.dataset.film === film);
  return links.find((link) => Math.abs(Number(link.dataset.time) - time) < 0.06) ?? links[0];
}
