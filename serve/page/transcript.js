// Everything said and described, in time: each line jumps into the film, and the list goes along with it.

import { byId, clock, element, hiddenText, spokenTime, who } from "./dom.js";
import { marked } from "./results.js";

const NAMES = { descriptions: "Description", generated: "Machine-made description" };
const STYLES = { descriptions: "described-kind", generated: "machine-kind" };

export class Transcript {
  /** `jump(seconds)` plays the film from there. */
  constructor(jump) {
    this.jump = jump;
    this.list = byId("cues");
    this.lines = []; // { start, end, item }, in time
    byId("follow").addEventListener("change", () => this.follow());
  }

  /** Fill the list from text tracks; `words` are marked as in the results. */
  fill(tracks, words) {
    const cues = tracks.flatMap(({ kind, cues: list }) => [...(list ?? [])].map((cue) => ({ kind, cue })));
    cues.sort((a, b) => a.cue.startTime - b.cue.startTime || a.cue.endTime - b.cue.endTime);
    this.lines = cues.map(({ kind, cue }) => {
      const plain = cue.getCueAsHTML();
      const speaker = plain.querySelector("[title]")?.title ?? "";
      const name = NAMES[kind] ?? (who(speaker, "") || "Dialogue");
      const button = element("button", { type: "button" },
        element("span", { className: "time" }, element("span", { "aria-hidden": "true" }, clock(cue.startTime)),
          hiddenText(`${spokenTime(cue.startTime)},`)),
        element("span", { className: "words" }, element("span", { className: "by" }, name), hiddenText(": "),
          element("span", {}, ...marked(plain.textContent, words))));
      button.addEventListener("click", () => this.jump(cue.startTime));
      const item = element("li", { className: STYLES[kind] ?? "said-kind" }, button);
      return { start: cue.startTime, end: cue.endTime, item };
    });
    this.list.replaceChildren(...this.lines.map((line) => line.item));
    this.now = undefined;
    byId("transcript-empty").hidden = this.lines.length > 0;
  }

  /** Mark the line at `seconds`: the last that has begun. */
  at(seconds) {
    let low = 0;
    let high = this.lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.lines[middle].start <= seconds + 0.05) low = middle + 1;
      else high = middle;
    }
    const line = this.lines[low - 1];
    if (line === this.now) return;
    this.now?.item.querySelector("button").removeAttribute("aria-current");
    line?.item.querySelector("button").setAttribute("aria-current", "true");
    this.now = line;
    this.follow();
  }

  /** Keep the line in sight, within the list; never under the hands of somebody who is in it. */
  follow() {
    if (!this.now || !byId("follow").checked || this.list.matches(":focus-within:has(:focus-visible)")) return;
    const { offsetTop, offsetHeight } = this.now.item;
    this.list.scrollTo({ top: offsetTop - (this.list.clientHeight - offsetHeight) / 2 });
  }
}
