// The filters: what the fields say, and the voices of the films that were chosen.

import * as api from "./api.js";
import { announce, byId, clock, element, hiddenText, readTime, who } from "./dom.js";
import { filtersSet } from "./query.js";

let chosen = []; // film ids
let voices = []; // speaker labels that are ticked
let listing = new AbortController();

const ticked = (name) => [...document.querySelectorAll(`input[name=${name}]:checked`)].map((box) => box.value);

/** The filters as the fields have them; null, with the problem shown, where a time can't be read. */
export function readFilters() {
  const [start, end] = [readTime(byId("from").value), readTime(byId("to").value)];
  let problem = "";
  if (Number.isNaN(start) || Number.isNaN(end)) problem = "Write a time as minutes and seconds, such as 12:30.";
  else if (start !== null && end !== null && end <= start) problem = "The time must end after it begins.";
  byId("time-problem").textContent = problem;
  for (const id of ["from", "to"]) byId(id).toggleAttribute("aria-invalid", Boolean(problem));
  if (problem) {
    byId("filters").open = true;
    byId(Number.isNaN(end) && !Number.isNaN(start) ? "to" : "from").focus();
    return null;
  }
  return { start, end, films: chosen, speakers: voices, roles: ticked("roles"), counts: ticked("counts") };
}

/** Bring the fields into line with a state. */
export function showFilters(state) {
  chosen = [...state.films];
  voices = [...state.speakers];
  byId("from").value = state.start === null ? "" : clock(state.start);
  byId("to").value = state.end === null ? "" : clock(state.end);
  byId("time-problem").textContent = "";
  for (const box of document.querySelectorAll("input[name=roles]")) box.checked = state.roles.includes(box.value);
  for (const box of document.querySelectorAll("input[name=counts]")) box.checked = state.counts.includes(box.value);
  const set = filtersSet(state);
  byId("filters-set").textContent = set ? ` (${set} set)` : "";
  byId("filters-clear").hidden = !set;
  showChosen();
}

function showChosen() {
  byId("films-chosen").replaceChildren(...chosen.map((film) => {
    const remove = element("button", { type: "button" }, film, element("span", { "aria-hidden": "true" }, " ×"), hiddenText(", remove"));
    remove.addEventListener("click", () => {
      chosen = chosen.filter((one) => one !== film);
      showChosen();
      byId("film-name").focus();
      announce(`${film} removed.`);
    });
    return element("li", {}, remove);
  }));
  byId("films-chosen").hidden = !chosen.length;
  showVoices();
}

/** Labels are a film's own: there are voices to choose once a film is chosen. */
async function showVoices() {
  listing.abort();
  listing = new AbortController();
  const { signal } = listing;
  const known = new Map(voices.map((voice) => [voice, { speaker: voice, role: "" }]));
  try {
    for (const film of await Promise.all(chosen.map((id) => api.film(id, signal)))) {
      for (const voice of film.speakers ?? []) known.set(voice.speaker, voice);
    }
  } catch {
    if (signal.aborted) return; // the ticked ones stay; the search itself will tell what is wrong
  }
  byId("speakers-hint").hidden = known.size > 0;
  byId("speakers").replaceChildren(...[...known.values()].map(({ speaker, role, seconds }) => {
    const box = element("input", { type: "checkbox", name: "speakers", value: speaker, checked: voices.includes(speaker) });
    box.addEventListener("change", () => { voices = ticked("speakers"); });
    const name = who(speaker, role);
    return element("label", {}, box, ` ${name[0].toUpperCase()}${name.slice(1)}`, seconds ? `, ${clock(seconds)}` : "");
  }));
}

/** Connect the fields; `clear()` is called to search without filters. */
export function connectFilters(clear) {
  const field = byId("film-name");
  let suggesting = new AbortController();
  field.addEventListener("input", async () => {
    suggesting.abort();
    suggesting = new AbortController();
    try {
      const { films } = await api.filmsCalled(field.value.trim(), suggesting.signal);
      byId("film-names").replaceChildren(...films.map((film) => element("option", { value: film.film_id, label: film.title })));
    } catch {
      // no suggestions then; a film can still be named
    }
  });
  const add = async () => {
    const name = field.value.trim();
    if (!name) return field.focus();
    const { films } = await api.filmsCalled(name).catch(() => ({ films: [] }));
    const same = (film) => [film.film_id, film.title].some((one) => one?.toLowerCase() === name.toLowerCase());
    const film = films.find(same) ?? (films.length === 1 ? films[0] : null);
    if (!film) return announce(films.length ? "Several films are called like that: choose one." : "No film is called like that.");
    if (!chosen.includes(film.film_id)) chosen.push(film.film_id);
    field.value = "";
    showChosen();
    announce(`${film.title || film.film_id} chosen.`);
  };
  byId("film-add").addEventListener("click", add);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // Enter adds the film; it does not search yet
    add();
  });
  byId("filters-clear").addEventListener("click", clear);
}
