// Single keys for those who want them: never in a field, never with Ctrl, Alt or Meta, and off on request.

import { byId, remember, remembered } from "./dom.js";

const KEY = "cinescribe.keys";

/** Whether the element under the keyboard wants `key` for itself. */
function taken(target, key) {
  if (!(target instanceof Element)) return false;
  if (target.isContentEditable) return true;
  const field = target.closest("input, select, textarea");
  const plain = ["checkbox", "button", "submit"]; // these want Space only
  if (field && !plain.includes(field.type)) return true;
  return key === " " && Boolean(target.closest("a, button, input, summary, [role=button]"));
}

/** Connect the keys; `watching()` tells whether the film's keys count now. */
export function connectKeys(player, watching) {
  const kept = remembered(KEY, { on: true });
  byId("keys-on").checked = kept.on;
  byId("keys-on").addEventListener("change", (event) => {
    kept.on = event.target.checked;
    remember(KEY, kept);
  });
  const help = () => byId("help").showModal();
  byId("help-open").addEventListener("click", help);
  const anywhere = { "/": () => byId("text").focus(), "?": help };
  const film = {
    " ": () => player.toggle(), k: () => player.toggle(), j: () => player.step(-10), l: () => player.step(10),
    ArrowLeft: () => player.step(-5), ArrowRight: () => player.step(5),
    d: () => player.descriptions(), c: () => player.captions(),
  };
  document.addEventListener("keydown", (event) => {
    if (!kept.on || event.defaultPrevented || event.isComposing) return;
    if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = anywhere[key] ?? (watching() && !(event.shiftKey && key !== "?") ? film[key] : undefined);
    if (!act || taken(event.target, key) || (event.repeat && !key.startsWith("Arrow") && !"jl".includes(key))) return;
    event.preventDefault();
    act();
  });
}
