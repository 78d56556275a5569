// The film: controls with names, captions, descriptions, and a transcript that goes along.

import * as api from "./api.js";
import { announce, byId, clock, counted, element, remember, remembered, spokenTime } from "./dom.js";
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
    this.tracks = []; // { kind, element }
    this.choice = remembered(KEY, { captions: true, volume: 1, muted: false, speed: 1 });
    this.quiet = false;
    this.describer = new Describer(this.video, (quiet) => {
      this.quiet = quiet;
      this.setSound();
    });
    this.transcript = new Transcript((seconds) => this.play(seconds));
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
    this.tracks = ["captions", "descriptions"].map((kind) => this.addTrack(kind, words)).filter(Boolean);
    this.fill(words);
    const has = (kind) => this.tracks.some((track) => track.kind === kind);
    byId("captions").disabled = !has("captions");
    byId("descriptions").disabled = !has("descriptions");
    byId("describing").hidden = !has("descriptions");
    this.showCaptions();
  }

  /** The film's track of `kind`, in the user's language where there is one. */
  addTrack(kind, words) {
    const all = (this.film.tracks ?? []).filter((track) => track.kind === kind);
    const speaks = (track) => navigator.languages.some((language) => track.language && language.startsWith(track.language));
    const chosen = all.find(speaks) ?? all[0];
    if (!chosen) return null;
    const made = element("track", { kind, src: chosen.src, srclang: chosen.language || "und", label: chosen.label });
    const track = made.track;
    made.addEventListener("load", () => this.fill(words));
    made.addEventListener("error", () => {
      if (this.tracks.some((one) => one.element === made)) this.problem(`The ${kind} could not be loaded.`);
    });
    if (kind === "descriptions") {
      this.describer.language = chosen.language ?? "";
      track.addEventListener("cuechange", () => this.describe());
    }
    this.video.append(made);
    track.mode = "hidden";
    return { kind, element: made };
  }

  /** Give the description the film is at, once; while it stands still only in writing. */
  describe() {
    const cues = this.tracks.find((track) => track.kind === "descriptions")?.element.track.activeCues;
    const cue = cues?.[cues.length - 1];
    const text = cue ? cue.getCueAsHTML().textContent : "";
    if (this.video.paused && !this.describer.holding) this.describer.write(text);
    else if (cue !== this.described) {
      this.described = cue;
      this.describer.describe(text);
    }
  }

  fill(words) {
    const tracks = this.tracks.map(({ kind, element: made }) => ({ kind, cues: made.track.cues }));
    this.transcript.fill(tracks, words);
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
    const captions = this.tracks.find((track) => track.kind === "captions")?.element.track;
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
