// The page: the address says what is asked and watched; this brings the views into line with it.

import * as api from "./api.js";
import { announce, byId, clock, focusOn } from "./dom.js";
import { connectFilters, readFilters, showFilters } from "./filters.js";
import { connectGiven, fileOf, showGiven } from "./given.js";
import { connectKeys } from "./keys.js";
import { showFilms } from "./library.js";
import { Player } from "./player.js";
import { asks, canGrow, more, read, request, withoutFilters, write } from "./query.js";
import { linkOf, showAnswer, showWaiting } from "./results.js";
import { clearTrouble, connectTrouble, showTrouble } from "./trouble.js";

const KEPT = 20; // answers kept for the way back
const answers = new Map(); // address of a search -> its answer
let state = read(location.search);
let given = state.given; // what the form holds; the state holds what was asked
let running = new AbortController();
let filmsShown = false;

const player = new Player((seconds) => {
  if (!state.watch) return;
  state = { ...state, time: seconds };
  keepAddress();
}, (trouble) => showTrouble(trouble, () => {
  player.close();
  show(state);
}));

// Browsers refuse an address that changes too often, as it does while a slider is dragged.
let addressTimer = 0;
function keepAddress() {
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => state.watch && history.replaceState(null, "", write(state)), 300);
}

/** Go to a state: a new entry of the history unless the address stays the same. */
function go(next, how = {}) {
  const address = write(next);
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
  show(next, how);
}

/** Bring the page into line with `next`. how: play, focus (move the focus), from (the state one comes from). */
async function show(next, how = {}) {
  clearTimeout(addressTimer);
  const before = state;
  state = next;
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const view = next.watch ? "watch" : asks(next) ? "results" : "library";
  for (const id of ["watch", "results", "library"]) byId(id).hidden = id !== view;
  document.body.dataset.view = view;
  byId("examples").hidden = view !== "library" || !byId("examples").querySelector("li");
  byId("text").value = next.text;
  given = next.given;
  showGiven(given);
  showFilters(next);
  clearTrouble();
  if (view !== "watch") player.close();
  try {
    await { watch, results, library }[view](next, { ...how, before }, signal);
    if (!signal.aborted) clearTrouble(true);
  } catch (error) {
    if (signal.aborted) return;
    byId("main").removeAttribute("aria-busy");
    if (view !== "library") byId(view).hidden = true;
    showTrouble(error, () => show(state, { ...how, focus: true }));
  }
}

async function results(next, { focus, before }, signal) {
  document.title = `${next.text || next.given} · cinescribe`;
  const address = write({ ...next, watch: "", time: null });
  let answer = answers.get(address);
  if (!answer) {
    const file = fileOf(next);
    if (next.given && !file) throw new api.Trouble("refused", `The link does not hold ${next.given}. Choose the picture or clip again.`);
    showWaiting();
    byId("results-more").hidden = true;
    byId("main").setAttribute("aria-busy", "true");
    const slow = setTimeout(() => announce("Searching…"), 700); // nothing to say when it is quick
    try {
      answer = await api.search(request(next), file, signal);
    } finally {
      clearTimeout(slow);
    }
    byId("main").removeAttribute("aria-busy");
    answers.set(address, answer);
    if (answers.size > KEPT) answers.delete(answers.keys().next().value);
  }
  const sentence = showAnswer(answer, next, answer.took_ms === undefined ? "" : `Found in ${(answer.took_ms / 1000).toFixed(2)} s.`);
  byId("results-more").hidden = !canGrow(next, answer.moments.length);
  const grown = before.limit < next.limit && before.text === next.text;
  if (before.watch) focusOn(linkOf(before.watch, before.opened ?? 0) ?? byId("results-title"));
  else if (grown) focusOn(document.querySelectorAll("#moments a.open")[before.limit]);
  else if (focus) focusOn(byId("results-title"));
  announce([sentence, ...(answer.notes ?? [])].join(" "));
}

async function library(next, { focus, before }, signal) {
  document.title = "cinescribe";
  if (!filmsShown) await showFilms({ query: "" }, signal);
  filmsShown = true;
  byId("examples").hidden = !byId("examples").querySelector("li");
  const opened = before.watch && document.querySelector(`#films a[data-film="${CSS.escape(before.watch)}"]`);
  if (opened) focusOn(opened);
  else if (focus) focusOn(byId("library-title"));
}

async function watch(next, { play, focus, before }, signal) {
  const back = byId("watch-back");
  back.href = write({ ...next, watch: "", time: null });
  back.textContent = asks(next) ? "Back to the moments found" : "Back to your films";
  // The way back leads to the link this was opened with, wherever the film stands by then.
  state.opened = before.watch === next.watch && before.opened !== undefined ? before.opened : (next.time ?? 0);
  const opened = state.opened;
  await player.open(next.watch, next.time, { play, words: next.text.split(/\s+/) }, signal);
  state.opened = opened;
  const title = byId("watch-title").textContent;
  document.title = `${title}${next.time ? `, ${clock(next.time)}` : ""} · cinescribe`;
  if (focus) focusOn(byId("watch-title"));
}

/** Ask what the form says. */
function submit() {
  const filters = readFilters();
  if (!filters) return;
  const next = { ...read(""), ...filters, text: byId("text").value.trim(), given };
  if (!asks(next) && !state.watch && !asks(state)) {
    announce("Write what you look for, or give a picture or clip.");
    byId("text").focus();
    return;
  }
  answers.delete(write(next)); // asked again on purpose: the index may have grown
  go(next);
}

function connect() {
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  // Links to states of this page are followed without loading it anew; with a modifier they stay links.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || event.defaultPrevented) return;
    const to = new URL(link.href);
    if (to.origin !== location.origin || to.pathname !== "/" || to.hash) return;
    event.preventDefault();
    const next = read(to.search);
    go(next, { play: next.time !== null, focus: true });
  });
  window.addEventListener("popstate", () => show(read(location.search), { focus: true }));
  byId("results-more").addEventListener("click", () => go(more(state)));
  byId("library-more").addEventListener("click", () => showFilms({ further: true }).catch((error) => showTrouble(error, () => byId("library-more").click())));
  byId("library-find").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const found = await showFilms({ query: byId("library-query").value.trim() });
      announce(found ? "Films found." : byId("library-empty").textContent);
    } catch (error) {
      showTrouble(error, () => byId("library-find").requestSubmit());
    }
  });
  byId("share").addEventListener("click", async () => {
    const link = new URL(write({ ...state, time: byId("video").currentTime }), location.href).href;
    try {
      await navigator.clipboard.writeText(link);
      byId("shared").textContent = "Copied.";
    } catch {
      byId("shared").textContent = link; // no clipboard without https: it can be copied by hand
    }
    announce(byId("shared").textContent);
  });
  connectFilters(() => go({ ...withoutFilters(state), watch: "", time: null }));
  connectGiven((name) => {
    given = name;
    showGiven(name);
    if (name) submit();
  });
  connectKeys(player, () => Boolean(state.watch));
  connectTrouble();
}

connect();
show(state);
