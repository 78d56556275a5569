// What went wrong, in words, with the way out: a key, another try, or clearing what was asked.

import { openSession } from "./api.js";
import { announce, byId, counted, element } from "./dom.js";

const TRIES = 5; // times a busy service is asked again by itself
let timer = 0;
let tries = 0;
let again = () => {};

export function clearTrouble(success = false) {
  clearInterval(timer);
  byId("trouble").hidden = true;
  byId("trouble").replaceChildren();
  if (success) tries = 0;
}

/** Show a failure; `retry` is what to do again. */
export function showTrouble(error, retry) {
  clearTrouble();
  again = retry;
  if (error.kind === "key") return askForKey();
  if (error.kind === "busy" && tries < TRIES) return waitAndRetry(error);
  tries = 0;
  const titles = { offline: "No connection", busy: "The service is busy", refused: "This can’t be searched", broken: "Something went wrong" };
  const [title, text] = error.kind
    ? [error.status === 404 ? "Not there" : titles[error.kind], error.message]
    : [titles.broken, `The page failed: ${error.message}`];
  if (!error.kind) console.error(error);
  const facts = error.request ? element("p", { className: "facts" }, `Request ${error.request}`) : null;
  show(title, element("p", {}, text), facts,
    error.kind === "offline" ? element("p", {}, "It is tried again as soon as the connection is back.") : null,
    element("p", {}, button("Try again", retry)));
}

function waitAndRetry(error) {
  tries += 1;
  let left = error.wait ?? 2 ** tries;
  const seconds = element("span", {}, counted(left, "second"));
  // The figures change each second; readers hear the first of them.
  const text = element("p", {}, "The service is busy. ", element("span", { "aria-hidden": "true" }, "Trying again in ", seconds, "."),
    element("span", { className: "visually-hidden" }, `Trying again in ${counted(left, "second")}.`));
  show("One moment", text, element("p", { className: "row" }, button("Try now", again), button("Stop", () => {
    clearTrouble(true);
    announce("Stopped.");
  })));
  timer = setInterval(() => {
    left -= 1;
    seconds.textContent = counted(Math.max(0, left), "second");
    if (left > 0) return;
    clearInterval(timer);
    again();
  }, 1000);
}

function show(title, ...parts) {
  byId("trouble").replaceChildren(element("h2", {}, title), ...parts.filter(Boolean));
  byId("trouble").hidden = false;
}

function button(text, act) {
  const made = element("button", { type: "button" }, text);
  made.addEventListener("click", act);
  return made;
}

function askForKey() {
  show("This service asks for a key", element("p", {}, button("Enter the key", askForKey)));
  byId("key-problem").textContent = "";
  if (!byId("session").open) byId("session").showModal();
  byId("key").focus();
}

/** Connect the dialog that asks for the key, and the return of the connection. */
export function connectTrouble() {
  byId("session-cancel").addEventListener("click", () => byId("session").close());
  byId("session-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await openSession(byId("key").value.trim());
    } catch (error) {
      byId("key-problem").textContent = error.kind === "key" ? "This key is not right." : error.message;
      byId("key").select();
      return;
    }
    byId("key").value = "";
    byId("session").close();
    clearTrouble(true);
    announce("The key is right.");
    again();
  });
  window.addEventListener("online", () => !byId("trouble").hidden && again());
  window.addEventListener("offline", () => announce("This device is offline."));
}
