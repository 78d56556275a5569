// What a machine described of a film, interval by interval, and its correction by hand: each is a button that
// opens a field. What somebody typed is only let go of when it was saved or when they cancel.

import * as api from "./api.js";
import { announce, byId, clock, counted, element, focusOn, hiddenText, remember, remembered, spokenTime } from "./dom.js";
import { showTrouble } from "./trouble.js";

const KEY = "cinescribe.author";
const LONGEST = 500; // characters; the service's limit
const NOT_SPOKEN = {
  "no-gap": "someone speaks all the time nearby",
  "too-long": "it is too long for the room there is",
  taken: "another description is spoken then",
  repeated: "it says what the one before says",
  empty: "there is nothing to say",
  removed: "it was taken out",
};

/** Who wrote what holds, in words: never by colour alone. */
function origin(one) {
  if (!one.corrected) return "Machine-made";
  const by = one.author ? ` by ${one.author}` : " by a person";
  return one.reason === "removed" ? `Taken out${by}` : `Corrected${by}`;
}

function spoken(one, time = clock) {
  if (one.cue) return `Spoken at ${time(one.cue.start)}.`;
  return one.reason === "removed" ? "Not spoken." : `Not spoken: ${NOT_SPOKEN[one.reason] ?? one.reason}.`;
}

export class Corrections {
  /** `play(seconds)` plays the film from there; `changed()` hears that other words are spoken now. */
  constructor(play, changed) {
    this.play = play;
    this.changed = changed;
    this.film = "";
    this.drafts = new Map(); // film and interval -> what was typed and not saved
    this.list = byId("corrections-list");
    byId("author").value = remembered(KEY, { name: "" }).name;
    byId("author").addEventListener("change", () => remember(KEY, { name: byId("author").value.trim() }));
    this.list.addEventListener("keydown", (event) => this.walk(event));
    window.addEventListener("beforeunload", (event) => {
      if (this.drafts.size) event.preventDefault();
    });
  }

  /** Show those of `film`; "" for none. */
  async open(film) {
    this.film = film;
    byId("corrections").hidden = !film;
    this.list.replaceChildren();
    byId("corrections-facts").textContent = film ? "Loading…" : "";
    if (!film) return;
    try {
      const found = await api.descriptions(film);
      if (this.film !== film) return;
      this.pace = found.words_per_minute;
      this.list.replaceChildren(...found.descriptions.map((one) => this.item(one)));
      this.count();
    } catch (error) {
      if (this.film !== film) return;
      const again = element("button", { type: "button" }, "Try again");
      again.addEventListener("click", () => this.open(film));
      byId("corrections-facts").replaceChildren(`They can’t be shown: ${error.message} `, again);
    }
  }

  count() {
    const shown = [...this.list.children].map((item) => item.description);
    const corrected = shown.filter((one) => one.corrected).length;
    const quiet = shown.filter((one) => !one.cue).length;
    byId("corrections-facts").textContent = [counted(shown.length, "interval"), `${corrected} corrected`, `${quiet} not spoken`].join(" · ");
  }

  item(one) {
    const item = element("li", {});
    this.showItem(item, one);
    return item;
  }

  key(one, film = this.film) {
    return JSON.stringify([film, one.start, one.end]);
  }

  /** An item as a button with all there is to know of it. */
  showItem(item, one) {
    item.description = one;
    item.className = one.corrected ? "corrected-kind" : "machine-kind";
    const draft = this.drafts.has(this.key(one));
    const button = element("button", { type: "button", className: "sentence" },
      element("span", { className: "time" }, element("span", { "aria-hidden": "true" }, clock(one.start)),
        hiddenText(`${spokenTime(one.start)},`)),
      element("span", { className: "words" },
        element("span", { className: "by" }, `${origin(one)} · score ${one.score.toFixed(2)}`), hiddenText(": "),
        element("span", { className: "text" }, one.text || "(nothing is said)"),
        element("span", { className: "facts" }, element("span", { "aria-hidden": "true" }, spoken(one)),
          hiddenText(spoken(one, spokenTime)), draft ? " Your text is not saved yet." : "", hiddenText(" Correct it."))));
    button.addEventListener("click", () => this.edit(item));
    item.replaceChildren(button);
  }

  /** An item as a field. */
  edit(item) {
    const one = item.description;
    const film = this.film; // another may be open before this one's correction is saved
    const name = `correction-${one.start}-${one.end}`;
    const field = element("textarea", { id: name, rows: 3, maxLength: LONGEST, spellcheck: true,
      "aria-describedby": `${name}-facts ${name}-problem` });
    field.value = this.drafts.get(this.key(one, film)) ?? one.text;
    const room = Math.floor((one.room * this.pace) / 60);
    const facts = [
      one.corrected ? `The machine wrote: “${one.generated}”` : "",
      room > 0 ? `There is room for about ${counted(room, "word")} here.` : "Here is no room to speak: somebody speaks, or another description is given.",
    ];
    const problem = element("p", { className: "problem", id: `${name}-problem`, role: "alert" });
    const button = (text, act, main = false) => {
      const made = element("button", { type: "button", className: main ? "main" : "" }, text);
      made.addEventListener("click", act);
      return made;
    };
    const close = () => {
      this.drafts.delete(this.key(one, film));
      this.showItem(item, item.description);
      focusOn(item.querySelector("button"));
    };
    const cancel = () => {
      close();
      announce("Left as it was.");
    };
    const keep = async (how) => {
      if (item.saving) return;
      if (how === "text" && !field.value.trim()) {
        problem.textContent = "Write what is seen, or take the description out.";
        return field.focus();
      }
      item.saving = true;
      problem.textContent = "";
      try {
        const now = await this.send(film, how, item.description, field.value);
        item.description = now;
        close();
        this.count();
        this.changed();
        const said = { text: "Saved.", removed: "Taken out.", machine: "Back to the machine’s text." }[how];
        announce(how === "removed" ? said : `${said} ${spoken(now, spokenTime)}`);
      } catch (error) {
        if (error.kind === "key") showTrouble(error, () => keep(how));
        problem.textContent = await this.explain(error, film, item);
        field.focus();
      } finally {
        item.saving = false;
      }
    };
    const form = element("form", {},
      element("label", { htmlFor: name }, "Description ",
        element("span", { "aria-hidden": "true" }, `${clock(one.start)} – ${clock(one.end)}`),
        hiddenText(`from ${spokenTime(one.start)} to ${spokenTime(one.end)}`)),
      field, element("p", { className: "facts", id: `${name}-facts` }, facts.filter(Boolean).join(" ")), problem,
      element("div", { className: "row" },
        button("Save", () => keep("text"), true), button("Cancel", cancel),
        button("Play from here", () => this.play(one.start)),
        one.reason === "removed" ? null : button("Take it out", () => keep("removed")),
        one.corrected ? button("Back to the machine’s text", () => keep("machine")) : null));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("keydown", (event) => {
      const saves = event.key === "Enter" && (event.ctrlKey || event.metaKey);
      if (event.isComposing || !(saves || event.key === "Escape")) return;
      event.preventDefault();
      event.stopPropagation();
      if (saves) keep("text");
      else cancel();
    });
    field.addEventListener("input", () => {
      if (field.value === item.description.text) this.drafts.delete(this.key(one, film));
      else this.drafts.set(this.key(one, film), field.value);
    });
    item.replaceChildren(form);
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }

  send(film, how, one, text) {
    const author = byId("author").value.trim();
    if (how === "machine") return api.takeBack(film, one);
    return api.correct(film, one, how === "removed" ? { removed: true, author } : { text, author });
  }

  /** What a failure means for what was typed. Who was slower sees what the other wrote, and may save over it. */
  async explain(error, film, item) {
    if (error.kind === undefined) throw error;
    if (error.status !== 409) return `Not saved: ${error.message} What you wrote is still here.`;
    try {
      const { start, end } = item.description;
      const { descriptions } = await api.descriptions(film);
      item.description = descriptions.find((one) => one.start === start && one.end === end) ?? item.description;
    } catch {
      return `Not saved: ${error.message}`;
    }
    const { text } = item.description;
    return `Not saved: somebody else changed this meanwhile, to ${text ? `“${text}”` : "nothing"}. Save again to put yours in its place.`;
  }

  /** The arrow keys go from one description to the next. */
  walk(event) {
    const item = event.target.closest(".sentence")?.parentElement;
    if (!item || event.ctrlKey || event.altKey || event.metaKey) return;
    const to = {
      ArrowDown: item.nextElementSibling, ArrowUp: item.previousElementSibling,
      Home: this.list.firstElementChild, End: this.list.lastElementChild,
    };
    if (!(event.key in to)) return;
    event.preventDefault();
    focusOn(to[event.key]?.querySelector("button, textarea"));
  }
}
