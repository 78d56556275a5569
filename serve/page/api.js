// The service's HTTP interface. Every failure is a Trouble whose kind says what the page can do about it.

/** kind: key (401), busy (429, 503), offline, refused (another 4xx), broken (5xx or not JSON). */
export class Trouble extends Error {
  constructor(kind, message, { status = 0, wait = null, request = "" } = {}) {
    super(message);
    Object.assign(this, { kind, status, wait, request });
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", headers: { Accept: "application/json" }, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const why = navigator.onLine ? "The service can’t be reached." : "This device is offline.";
    throw new Trouble("offline", why);
  }
  if (answer.ok) {
    if (answer.status === 204) return null;
    try {
      return await answer.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Trouble("broken", "The service’s answer broke off.", { status: answer.status });
    }
  }
  throw await trouble(answer);
}

async function trouble(answer) {
  const body = await answer.json().catch(() => ({}));
  const { message = `The service answered with status ${answer.status}.`, request_id: request = "" } = body.error ?? {};
  const facts = { status: answer.status, request, wait: null };
  if (answer.status === 401) return new Trouble("key", message, facts);
  if (answer.status === 503 || answer.status === 429) {
    facts.wait = seconds(answer.headers.get("Retry-After"));
    return new Trouble("busy", message, facts);
  }
  return new Trouble(answer.status < 500 ? "refused" : "broken", message, facts);
}

/** Retry-After is a number of seconds or a date (RFC 9110, 10.2.3). */
function seconds(header) {
  if (!header) return null;
  const value = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(value) ? Math.min(120, Math.max(1, Math.ceil(value))) : null;
}

const json = (body) => ({
  method: "POST",
  headers: { Accept: "application/json", "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

/** Moments for `query`; `file` is a picture or clip or null. */
export function search(query, file, signal) {
  if (!file) return ask("/v1/search", { ...json(query), signal });
  const form = new FormData();
  form.append("query", JSON.stringify(query));
  form.append("file", file, file.name);
  return ask("/v1/search/upload", { method: "POST", body: form, signal });
}

export function films({ limit = 24, after = null, query = "" } = {}, signal) {
  const parameters = new URLSearchParams({ limit });
  if (after) parameters.set("after", after);
  if (query) parameters.set("query", query);
  return ask(`/v1/films?${parameters}`, { signal });
}

/** Films called like `name`. The service compares ids, where a title's spaces may be underscores. */
export async function filmsCalled(name, signal) {
  const answer = await films({ limit: 12, query: name }, signal);
  return answer.films.length || !name.includes(" ") ? answer : films({ limit: 12, query: name.replaceAll(" ", "_") }, signal);
}

/** An id may hold slashes: they stay slashes. */
const path = (id) => id.split("/").map(encodeURIComponent).join("/");

/** One film with its voices. */
export function film(id, signal) {
  return ask(`/v1/films/${path(id)}`, { signal });
}

/** What a machine described of a film, with corrections. */
export function descriptions(id, signal) {
  return ask(`/v1/descriptions/${path(id)}`, { signal });
}

/** Put `body` in place of a description, if it is still as `one` says. */
export const correct = (id, one, body) => ask(described(id, one), changing("PUT", one, body));

/** Back to the machine's text, if it is still as `one` says. */
export const takeBack = (id, one) => ask(described(id, one), changing("DELETE", one));

const described = (id, { start, end }) => `/v1/descriptions/${path(id)}?start=${start}&end=${end}`;

function changing(method, { version }, body) {
  const headers = { Accept: "application/json", "If-Match": `"${version}"` };
  if (!body) return { method, headers };
  return { method, headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

export const openSession = (key) => ask("/v1/session", json({ key }));

/** The text of a WebVTT track. */
export async function track(source, signal) {
  let answer;
  try {
    answer = await fetch(source, { credentials: "same-origin", signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("offline", "The service can’t be reached.");
  }
  if (!answer.ok) throw await trouble(answer);
  return answer.text();
}
