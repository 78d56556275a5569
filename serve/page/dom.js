// Small helpers that every part of the page uses: elements, times in figures and in words, announcements.

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; strings become text, so nothing from a film is read as HTML. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key in made && !key.includes("-")) made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const hiddenText = (text) => element("span", { className: "visually-hidden" }, text);

/** 75.4 -> "1:15", 3675 -> "1:01:15". */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** 75.4 -> "1 minute 15 seconds": what a screen reader should say instead of "1:15". */
export function spokenTime(seconds) {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  const parts = [[Math.floor(whole / 3600), "hour"], [Math.floor(whole / 60) % 60, "minute"], [whole % 60, "second"]];
  const said = parts.filter(([number]) => number).map(([number, unit]) => counted(number, unit));
  return said.join(" ") || "0 seconds";
}

export const counted = (number, unit) => `${number} ${unit}${number === 1 ? "" : "s"}`;

/** A time shown in figures and read in words. */
export function timeText(seconds, spoken = spokenTime(seconds)) {
  return element("span", {}, element("span", { "aria-hidden": "true" }, clock(seconds)), hiddenText(spoken));
}

/** "1:30", "1:02:03" or "90" -> seconds; null when empty; NaN when it can't be read. */
export function readTime(text) {
  const trimmed = text.trim();
  if (!trimmed) return null;
  if (!/^\d+(:[0-5]?\d){0,2}([.,]\d+)?$/.test(trimmed)) return NaN;
  return trimmed.replace(",", ".").split(":").reduce((total, part) => total * 60 + Number(part), 0);
}

/** Who says it, for people: the narrator, "voice 2" for SPEAKER_01, or the name as it is. */
export function who(speaker, role) {
  if (role === "narrator") return "the narrator";
  const numbered = /^SPEAKER_(\d+)$/.exec(speaker ?? "");
  return numbered ? `voice ${Number(numbered[1]) + 1}` : speaker;
}

/** Hand `text` to screen readers once they are done with what they say. */
export function announce(text) {
  const status = byId("status");
  // The same sentence twice in a row is only heard again when the text changes in between.
  status.textContent = status.textContent === text ? `${text}\u00a0` : text;
}

/** What was kept in this browser under `key`, over `defaults`; a browser that keeps nothing gives those. */
export function remembered(key, defaults) {
  try {
    return { ...defaults, ...JSON.parse(localStorage.getItem(key) ?? "{}") };
  } catch {
    return { ...defaults };
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Private windows may refuse: the choice then lasts as long as the page.
  }
}

/** A picture from a film; where it can't be had, an empty frame. `alt` is empty: the text beside it says what it is. */
export function still(source) {
  const sharper = `${source}${source.includes("?") ? "&" : "?"}width=640`;
  const picture = element("img", { srcset: `${source} 320w, ${sharper} 640w`, sizes: "17rem", src: source, alt: "",
    width: 320, height: 180, loading: "lazy", decoding: "async" });
  picture.addEventListener("error", () => picture.classList.add("missing"));
  return element("div", { className: "still" }, picture);
}

/** Focus a heading or result so that keyboard and screen reader go on from there. */
export function focusOn(target) {
  target?.focus({ preventScroll: true });
  target?.scrollIntoView({ block: "nearest" });
}
