// What is asked and what is watched, as the address says it: shareable, and the way back.

const SOURCES_OF = { said: ["speech"], described: ["description"], generated: ["generated"], seen: ["visual", "words", "model"] };
export const STEP = 20; // moments per page
const MOST = 100; // the service's limit

/** The state that an address stands for. */
export function read(address) {
  const from = new URLSearchParams(address);
  const number = (name) => {
    const value = from.get(name);
    return value === null || value === "" || !(Number(value) >= 0) ? null : Number(value);
  };
  return {
    text: (from.get("q") ?? "").trim(),
    films: from.getAll("film"),
    speakers: from.getAll("speaker"),
    roles: from.getAll("role").filter((role) => ["narrator", "dialogue", "unknown"].includes(role)),
    counts: from.getAll("counts").filter((what) => what in SOURCES_OF),
    start: number("from"),
    end: number("to"),
    limit: Math.min(MOST, Math.max(STEP, Math.floor(number("limit") ?? STEP))),
    given: from.get("given") ?? "", // the name of the picture or clip that was searched with
    watch: from.get("watch") ?? "",
    time: number("t"),
  };
}

/** The address of a state: "/" or "/?q=...". */
export function write(state) {
  const to = new URLSearchParams();
  const several = { film: state.films, speaker: state.speakers, role: state.roles, counts: state.counts };
  if (state.text) to.set("q", state.text);
  if (state.given) to.set("given", state.given);
  for (const [name, values] of Object.entries(several)) values.forEach((value) => to.append(name, value));
  if (state.start !== null) to.set("from", state.start);
  if (state.end !== null) to.set("to", state.end);
  if (state.limit > STEP) to.set("limit", state.limit);
  if (state.watch) to.set("watch", state.watch);
  if (state.watch && state.time !== null) to.set("t", Math.round(state.time * 10) / 10);
  const query = to.toString();
  return query ? `/?${query}` : "/";
}

/** The body of POST /v1/search. */
export function request(state) {
  return {
    text: state.text,
    limit: state.limit,
    films: state.films,
    start: state.start,
    end: state.end,
    speakers: state.speakers,
    roles: state.roles,
    sources: state.counts.flatMap((what) => SOURCES_OF[what]),
  };
}

export const asks = (state) => Boolean(state.text || state.given);

export const more = (state) => ({ ...state, limit: Math.min(MOST, state.limit + STEP) });

export const canGrow = (state, found) => found >= state.limit && state.limit < MOST;

export const filtersSet = (state) =>
  state.films.length + state.speakers.length + state.roles.length + state.counts.length
  + (state.start !== null) + (state.end !== null);

export const withoutFilters = (state) =>
  ({ ...state, films: [], speakers: [], roles: [], counts: [], start: null, end: null });
