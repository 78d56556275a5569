// The film: controls with names, captions, descriptions, and a transcript that goes along.

import * as api from "./api.js";
import { announce, byId, clock, counted, element, remember, remembered, spokenTime } from "./dom.js";
import { Corrections } from "./corrections.js";
import { Describer } from "./describe.js";
import { Transcript } from "./transcript.js";

const KEY = "cinescribe.player";
const QUIET = 0.25; // of its volume, while a description is read
const TOLD_EVERY = 10; // seconds between updates of the slider while it has the keyboard: readers read each

export class Player {
  /**
   * `moved(seconds)` hears where the film stands when a person moved or paused it, `lost(trouble)` when the
   * service no longer gives it.
   */
  constructor(moved, lost) {
    this.video = byId("video");
    this.moved = moved;
    this.lost = lost;
    this.film = null;
    this.tracks = []; // { kind, element }; kind: captions, descriptions (the narrator's) or generated
    this.words = []; // that are marked
    this.choice = remembered(KEY, { captions: true, volume: 1, muted: false, speed: 1, source: "descriptions" });
    this.quiet = false;
    this.describer = new Describer(this.video, (quiet) => {
      this.quiet = quiet;
      this.setSound();
    });
    this.transcript = new Transcript((seconds) => this.play(seconds));
    this.corrections = new Corrections((seconds) => this.play(seconds), () => this.reload());
    this.connect();
    this.setSound();
    this.showCaptions();
  }

  /** Show `id` at `seconds`; starts playing when `play`. Throws Trouble. */
  async open(id, seconds, { play = false, words = [] } = {}, signal) {
    if (this.film?.film_id !== id) {
      this.close();
      const film = await api.film(id, signal);
      signal?.throwIfAborted();
      this.film = film;
      this.load(words);
    }
    if (seconds !== null) this.video.currentTime = seconds;
    this.showPosition(true);
    if (play) this.play();
  }

  load(words) {
    const { film, video } = this;
    byId("watch-title").textContent = film.title || film.film_id;
    const voices = (film.speakers ?? []).length;
    byId("watch-facts").textContent = [clock(film.duration), voices && counted(voices, "voice")].filter(Boolean).join(" · ");
    byId("position").max = film.duration;
    video.poster = film.thumbnail;
    video.src = film.media;
    if (film.width && film.height) video.style.aspectRatio = `${film.width} / ${film.height}`;
    if (film.playable === false) this.problem("This film’s format can’t be played in a browser. Its transcript is here.");
    this.words = words;
    this.tracks = ["captions", "descriptions", "generated"].map((kind) => this.addTrack(kind)).filter(Boolean);
    this.fill();
    byId("captions").disabled = !this.track("captions");
    byId("descriptions").disabled = byId("describing").hidden = !this.source;
    byId("whose").hidden = !(this.track("descriptions") && this.track("generated"));
    this.corrections.open(this.track("generated") ? film.film_id : "");
    this.showCaptions();
    this.showSource();
  }

  track(kind) {
    return this.tracks.find((track) => track.kind === kind);
  }

  /** Whose descriptions are given: `descriptions`, `generated`, or undefined where there are none. */
  get source() {
    const kinds = [this.choice.source, "descriptions", "generated"];
    return kinds.find((kind) => this.track(kind));
  }

  showSource() {
    for (const radio of document.querySelectorAll("input[name=whose]")) radio.checked = radio.value === this.source;
    byId("descriptions").textContent = this.source === "generated" ? "Descriptions (machine-made)" : "Descriptions";
    this.describer.begin(this.source === "generated", this.track(this.source)?.element.srclang ?? "");
    this.described = undefined;
    this.describe();
  }

  /** Other words are spoken now: take the machine's track anew. */
  reload() {
    const old = this.track("generated");
    if (!old) return;
    old.element.remove();
    this.described = undefined;
    this.tracks = this.tracks.map((track) => (track === old ? this.addTrack("generated") : track));
  }

  /** The film's track of `kind`, in the user's language where there is one. */
  addTrack(kind) {
    const machine = kind === "generated";
    const plain = machine ? "descriptions" : kind; // as HTML calls it
    const all = (this.film.tracks ?? []).filter((track) => track.kind === plain && Boolean(track.machine_made) === machine);
    const speaks = (track) => navigator.languages.some((language) => track.language && language.startsWith(track.language));
    const chosen = all.find(speaks) ?? all[0];
    if (!chosen) return null;
    const made = element("track", { kind: plain, src: chosen.src, srclang: chosen.language || "und", label: chosen.label });
    const track = made.track;
    made.addEventListener("load", () => this.fill());
    made.addEventListener("error", () => {
      if (this.tracks.some((one) => one.element === made)) this.problem(`The ${plain} could not be loaded.`);
    });
    if (plain === "descriptions") track.addEventListener("cuechange", () => this.source === kind && this.describe());
    this.video.append(made);
    track.mode = "hidden";
    return { kind, element: made };
  }

  /** Give the description the film is at, once; while it stands still only in writing. */
  describe() {
    const cues = this.track(this.source)?.element.track.activeCues;
    const cue = cues?.[cues.length - 1];
    const text = cue ? cue.getCueAsHTML().textContent : "";
    if (this.video.paused && !this.describer.holding) this.describer.write(text);
    else if (cue !== this.described) {
      this.described = cue;
      this.describer.describe(text);
    }
  }

  fill() {
    const tracks = this.tracks.map(({ kind, element: made }) => ({ kind, cues: made.track.cues }));
    this.transcript.fill(tracks, this.words);
    this.transcript.at(this.video.currentTime);
    const loading = this.tracks.some(({ element: made }) => made.readyState < 2);
    if (loading) byId("transcript-empty").hidden = true;
    byId("strip").replaceChildren(...tracks.flatMap(({ kind, cues }) => [...(cues ?? [])].map((cue) => {
      const bar = element("i", { className: kind });
      bar.style.insetInlineStart = `${(100 * cue.startTime) / this.film.duration}%`;
      bar.style.inlineSize = `${(100 * (cue.endTime - cue.startTime)) / this.film.duration}%`;
      return bar;
    })), element("b", {}));
  }

  close() {
    this.describer.silence();
    this.describer.write("");
    this.corrections.open("");
    this.film = null;
    this.described = undefined;
    this.video.pause();
    this.tracks.forEach((track) => track.element.remove());
    this.tracks = [];
    this.video.removeAttribute("src");
    this.video.removeAttribute("poster");
    this.video.load();
    this.problem("");
    byId("shared").textContent = "";
  }

  async play(seconds = null) {
    if (seconds !== null) this.seek(seconds);
    try {
      await this.video.play();
    } catch (error) {
      if (error.name === "NotAllowedError") announce("Press play: the browser does not start a film by itself.");
    }
  }

  toggle() {
    if (this.describer.holding || this.video.paused) this.play();
    else this.video.pause();
  }

  seek(seconds) {
    const end = this.video.duration || this.film?.duration || 0;
    this.video.currentTime = Math.min(Math.max(0, seconds), end);
    this.showPosition(true);
    this.moved(this.video.currentTime);
  }

  step(seconds) {
    this.seek(this.video.currentTime + seconds);
  }

  captions() {
    if (byId("captions").disabled) return announce("This film has no captions.");
    this.keep({ captions: !this.choice.captions });
    this.showCaptions();
    announce(this.choice.captions ? "Captions on." : "Captions off.");
  }

  descriptions() {
    if (byId("descriptions").disabled) return announce("This film has no descriptions.");
    this.describer.turn(!this.describer.on);
    this.described = undefined;
    this.describe();
  }

  showCaptions() {
    byId("captions").setAttribute("aria-pressed", String(this.choice.captions));
    const captions = this.track("captions")?.element.track;
    if (captions) captions.mode = this.choice.captions ? "showing" : "hidden";
  }

  keep(change) {
    Object.assign(this.choice, change);
    remember(KEY, this.choice);
  }

  setSound() {
    const { volume, muted, speed } = this.choice;
    this.video.volume = volume * (this.quiet ? QUIET : 1);
    this.video.muted = muted;
    this.video.playbackRate = this.video.defaultPlaybackRate = speed;
    byId("volume").value = Math.round(volume * 100);
    byId("volume").setAttribute("aria-valuetext", `${Math.round(volume * 100)} percent`);
    byId("mute").setAttribute("aria-pressed", String(muted));
    byId("speed").value = String(speed);
  }

  showPosition(asked = false) {
    if (!this.film) return;
    const now = this.video.currentTime;
    const total = this.video.duration || this.film.duration;
    const slider = byId("position");
    byId("clock").textContent = `${clock(now)} / ${clock(total)}`;
    const needle = byId("strip").querySelector("b");
    if (needle) needle.style.insetInlineStart = `${(100 * now) / total}%`;
    this.transcript.at(now);
    const told = Math.abs(now - (this.told ?? -TOLD_EVERY)) >= TOLD_EVERY;
    if (!asked && slider.matches(":focus-visible") && !told) return;
    this.told = now;
    slider.max = total;
    slider.value = now;
    slider.setAttribute("aria-valuetext", `${spokenTime(now)} of ${spokenTime(total)}`);
  }

  /** The film could not be loaded. A video does not say why: the service is asked whether it is the key, or the film. */
  async broke() {
    const { film, video } = this;
    if (!film) return;
    const unplayable = video.error?.code === MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED;
    try {
      await api.film(film.film_id);
    } catch (error) {
      if (this.film === film) this.lost(error);
      return;
    }
    if (this.film !== film) return;
    this.problem(unplayable ? "This browser can’t play the film: its format, or its file is not there any more."
      : "The film broke off while loading. Check the connection, then press play.");
  }

  problem(text) {
    byId("video-problem").textContent = text;
  }

  connect() {
    const { video } = this;
    const on = (id, event, act) => byId(id).addEventListener(event, act);
    on("play", "click", () => this.toggle());
    on("back10", "click", () => this.step(-10));
    on("on10", "click", () => this.step(10));
    on("captions", "click", () => this.captions());
    on("descriptions", "click", () => this.descriptions());
    on("mute", "click", () => { this.keep({ muted: !this.choice.muted }); this.setSound(); });
    on("volume", "input", (event) => { this.keep({ volume: event.target.value / 100 }); this.setSound(); });
    on("speed", "change", (event) => { this.keep({ speed: Number(event.target.value) }); this.setSound(); });
    on("position", "input", (event) => this.seek(Number(event.target.value)));
    on("position", "keydown", (event) => {
      const steps = { ArrowLeft: -5, ArrowDown: -5, ArrowRight: 5, ArrowUp: 5, PageDown: -30, PageUp: 30 };
      if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      this.step(steps[event.key]);
    });
    for (const radio of document.querySelectorAll("input[name=whose]")) {
      radio.addEventListener("change", () => {
        this.describer.silence();
        this.keep({ source: radio.value });
        this.showSource();
        announce(radio.value === "generated" ? "Machine-made descriptions." : "The narrator’s descriptions.");
      });
    }
    byId("fullscreen").hidden = !document.fullscreenEnabled;
    on("fullscreen", "click", () => (document.fullscreenElement ? document.exitFullscreen() : byId("screen").requestFullscreen()));
    document.addEventListener("fullscreenchange", () => {
      byId("fullscreen").textContent = document.fullscreenElement ? "Leave full screen" : "Full screen";
    });
    video.addEventListener("click", () => this.toggle());
    video.addEventListener("timeupdate", () => this.showPosition());
    video.addEventListener("loadedmetadata", () => this.showPosition(true));
    const playing = () => { byId("play").textContent = video.paused && !this.describer.holding ? "Play" : "Pause"; };
    ["play", "pause", "ended", "emptied"].forEach((event) => video.addEventListener(event, playing));
    video.addEventListener("pause", () => {
      if (!this.film || this.describer.holding) return;
      this.described = undefined; // a description that was cut off is given again from its beginning
      this.moved(video.currentTime);
    });
    video.addEventListener("play", () => this.describe());
    video.addEventListener("seeked", () => { this.described = undefined; this.describe(); });
    video.addEventListener("error", () => this.broke());
  }
}
