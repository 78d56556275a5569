// Descriptions during the film: read aloud by the browser, handed to a screen reader, or shown as text.

import { announce, byId, element, remember, remembered } from "./dom.js";

const KEY = "cinescribe.descriptions";
const DEFAULTS = { on: false, mode: "aloud", voice: "", rate: 1, hold: false, duck: true };
const VOICES_COME_MS = 1500; // some browsers tell their voices only after a while, some have none
const STARTS_MS = 4000; // a voice that has not begun by then will not
const NO_VOICE = "This browser has no voice of its own: descriptions go to your screen reader, and are shown as text.";
const MACHINE = "Machine-made description";
const CHARACTERS_PER_SECOND = 10; // slower than any voice at its normal pace

export class Describer {
  /** `duck(yes)` makes the film quieter or as loud as before. */
  constructor(video, duck) {
    this.video = video;
    this.duck = duck;
    this.choice = remembered(KEY, DEFAULTS);
    this.speaking = new Map(); // utterance -> what ends waiting for it
    this.holding = false; // the film stands still for a description
    this.machine = false; // a machine wrote the descriptions
    this.introduced = false; // and the listener was told so
    this.engine = window.speechSynthesis ?? null;
    this.voices = [];
    this.voicesKnown = this.findVoices();
    this.connect();
    this.show();
  }

  get on() {
    return this.choice.on;
  }

  /** Descriptions from another source follow: written by a machine or not, in `language`. */
  begin(machine, language) {
    this.machine = machine;
    this.language = language;
    this.introduced = false;
  }

  /** `text` as it is heard: the first of a machine's says whose it is. */
  heard(text) {
    if (!this.machine || this.introduced) return text;
    this.introduced = true;
    return `${MACHINE}: ${text}`;
  }

  async turn(on) {
    this.introduced = false;
    const what = this.machine ? "Machine-made descriptions" : "Descriptions";
    this.choice.on = on;
    remember(KEY, this.choice);
    if (!on) this.silence();
    this.show();
    const how = { aloud: "read aloud", reader: "given to your screen reader", text: "shown as text" };
    if (!on) announce(`${what} off.`);
    else if (this.choice.mode === "aloud" && !(await this.canSpeak())) announce(`${what} on. ${NO_VOICE}`);
    else announce(`${what} on, ${how[this.choice.mode]}.`);
  }

  /** The film reached a description, or none goes on (""). */
  async describe(text) {
    this.write(text);
    if (!text || !this.on) return;
    if (this.choice.mode === "reader") byId("spoken").textContent = this.heard(text);
    if (this.choice.mode !== "aloud") return;
    const can = await this.canSpeak();
    if (this.written !== text || this.video.paused) return; // the film went on while the voices were awaited
    if (can) this.speak(this.heard(text));
    else byId("spoken").textContent = this.heard(text);
  }

  /** Show `text` below the picture, and say nothing. */
  write(text) {
    this.written = text;
    byId("described").replaceChildren(...(this.machine && text ? [element("span", { className: "badge" }, MACHINE), " "] : []), text);
    byId("described").hidden = !text || !this.on;
  }

  async canSpeak() {
    await this.voicesKnown;
    const can = Boolean(this.engine) && this.voices.length > 0;
    byId("voice-problem").textContent = can ? "" : NO_VOICE;
    return can;
  }

  speak(text) {
    const utterance = new SpeechSynthesisUtterance(text);
    const voice = this.voices.find((one) => one.voiceURI === this.choice.voice) ?? this.usual();
    if (voice) [utterance.voice, utterance.lang] = [voice, voice.lang];
    utterance.rate = this.choice.rate;
    const longest = 1000 * (text.length / CHARACTERS_PER_SECOND / this.choice.rate + 8);
    const never = setTimeout(() => this.failed(utterance, text), STARTS_MS * (1 + this.speaking.size));
    this.speaking.set(utterance, [never, setTimeout(() => this.finished(utterance), longest * (1 + this.speaking.size))]);
    utterance.addEventListener("start", () => clearTimeout(never));
    utterance.addEventListener("end", () => this.finished(utterance));
    utterance.addEventListener("error", () => this.failed(utterance, text));
    if (this.choice.hold && !this.video.paused) {
      this.holding = true;
      this.video.pause();
    } else if (this.choice.duck) {
      this.duck(true);
    }
    this.engine.speak(utterance);
  }

  /** The voice did not come: the description is not lost, the screen reader has it. */
  failed(utterance, text) {
    if (this.speaking.has(utterance)) byId("spoken").textContent = text;
    this.finished(utterance);
  }

  finished(utterance) {
    this.speaking.get(utterance)?.forEach(clearTimeout);
    if (!this.speaking.delete(utterance) || this.speaking.size) return;
    this.duck(false);
    if (this.holding) {
      this.holding = false;
      this.video.play().catch(() => {});
    }
  }

  /** Stop speaking at once; the film stays as it is. */
  silence() {
    this.holding = false;
    this.speaking.forEach((timers) => timers.forEach(clearTimeout));
    const spoke = this.speaking.size > 0;
    this.speaking.clear();
    if (spoke) this.engine.cancel();
    this.duck(false);
    byId("spoken").textContent = "";
  }

  usual() {
    const wanted = (navigator.language ?? "en").toLowerCase();
    const speaks = (voice, language) => voice.lang.toLowerCase().replace("_", "-").startsWith(language);
    const language = this.language || wanted;
    return this.voices.find((one) => one.default && speaks(one, language.slice(0, 2)))
      ?? this.voices.find((one) => speaks(one, language.slice(0, 2))) ?? this.voices[0];
  }

  findVoices() {
    if (!this.engine) return Promise.resolve();
    const take = () => {
      this.voices = this.engine.getVoices();
      this.listVoices();
      return this.voices.length > 0;
    };
    if (take()) return Promise.resolve();
    return new Promise((resolve) => {
      this.engine.addEventListener("voiceschanged", () => take() && resolve());
      setTimeout(resolve, VOICES_COME_MS);
    });
  }

  listVoices() {
    const options = this.voices.map((voice) =>
      element("option", { value: voice.voiceURI, selected: voice.voiceURI === this.choice.voice }, `${voice.name} (${voice.lang})`));
    byId("voice").replaceChildren(element("option", { value: "" }, "The usual one"), ...options);
    byId("voice").value = this.choice.voice;
  }

  connect() {
    const keep = (change) => {
      Object.assign(this.choice, change);
      remember(KEY, this.choice);
      this.show();
    };
    for (const radio of document.querySelectorAll("input[name=mode]")) {
      radio.addEventListener("change", () => {
        this.silence();
        keep({ mode: radio.value });
        if (radio.value === "aloud") this.canSpeak();
      });
    }
    byId("voice").addEventListener("change", (event) => keep({ voice: event.target.value }));
    byId("rate").addEventListener("input", (event) => keep({ rate: Number(event.target.value) }));
    byId("hold").addEventListener("change", (event) => keep({ hold: event.target.checked }));
    byId("duck").addEventListener("change", (event) => keep({ duck: event.target.checked }));
    byId("try").addEventListener("click", async () => {
      this.silence();
      if (await this.canSpeak()) this.speak("This is how descriptions will sound.");
      else announce(byId("voice-problem").textContent);
    });
    // A person who pauses or seeks wants quiet; one who plays on during a description has heard enough of it.
    this.video.addEventListener("pause", () => this.holding || this.silence());
    this.video.addEventListener("seeking", () => this.silence());
    this.video.addEventListener("play", () => this.holding && this.silence());
    window.addEventListener("pagehide", () => this.silence());
  }

  /** Bring buttons and fields into line with the choice. */
  show() {
    const { on, mode, rate, hold, duck } = this.choice;
    byId("descriptions").setAttribute("aria-pressed", String(on));
    for (const radio of document.querySelectorAll("input[name=mode]")) radio.checked = radio.value === mode;
    byId("aloud").hidden = mode !== "aloud";
    byId("rate").value = rate;
    const pace = rate === 1 ? "normal" : `${rate.toFixed(1)} times`;
    byId("rate-says").textContent = pace;
    byId("rate").setAttribute("aria-valuetext", pace);
    byId("hold").checked = hold;
    byId("duck").checked = duck;
    if (!on) byId("described").hidden = true;
  }
}
