// The page: reads entries, page by page, and writes one. What people wrote only ever becomes textContent.

const API_URL = document.querySelector('meta[name="api-url"]').content;
const PATIENCE = 10_000;
const longest = { name: Infinity, message: Infinity }; // until the backend has told its rules
const UNREACHABLE = "The guest book cannot be reached right now. Check your connection and try again.";

const element = (id) => document.getElementById(id);
const [form, list, older, problem] = ["form", "entries", "older", "problem"].map(element);

class Refused extends Error {
  constructor(message, fields = {}) {
    super(message);
    this.fields = fields;
  }
}

async function call(path, options = {}) {
  let response;
  let body;
  try {
    response = await fetch(API_URL + path, { ...options, signal: AbortSignal.timeout(PATIENCE) });
    body = await response.json();
  } catch {
    throw new Refused(UNREACHABLE);
  }
  if (!response.ok) throw new Refused(body.error?.message ?? UNREACHABLE, body.error?.fields);
  return body;
}

// Reading

let next = null;

function line(entry) {
  const item = element("entry").content.cloneNode(true).firstElementChild;
  item.querySelector(".message").textContent = entry.message;
  item.querySelector(".name").textContent = entry.name;
  const mood = item.querySelector(".mood");
  if (entry.mood) mood.textContent = entry.mood;
  else mood.remove();
  const time = item.querySelector("time");
  const written = new Date(entry.createdAt);
  time.dateTime = entry.createdAt;
  time.title = written.toLocaleString();
  time.textContent = ago(written);
  return item;
}

function ago(date) {
  const seconds = (Date.now() - date) / 1000;
  if (seconds < 45) return "just now";
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (seconds < 3600) return words.format(-Math.round(seconds / 60), "minute");
  if (seconds < 86_400) return words.format(-Math.round(seconds / 3600), "hour");
  if (seconds < 7 * 86_400) return words.format(-Math.round(seconds / 86_400), "day");
  return date.toLocaleDateString("en", { day: "numeric", month: "long", year: "numeric" });
}

async function read(click) {
  if (list.ariaBusy === "true") return;
  const first = next === null;
  list.ariaBusy = "true";
  element("loading").hidden = !first;
  older.textContent = "Turning the pages…";
  try {
    const page = await call(`/api/entries?limit=20${first ? "" : `&after=${next}`}`);
    problem.hidden = true;
    const items = page.entries.map(line);
    if (first) list.replaceChildren(...items);
    else list.append(...items);
    next = page.next;
    older.hidden = next === null;
    element("empty").hidden = list.childElementCount > 0;
    if (click) (first ? list : items[0]).focus(); // the button that was pressed may be gone
    if (!first) element("status").textContent = `${items.length} older entries shown.`;
  } catch (error) {
    element("problem-text").textContent = error.message;
    problem.hidden = false;
    older.hidden = true;
  } finally {
    list.ariaBusy = "false";
    element("loading").hidden = true;
    older.textContent = "Older entries";
  }
}

// Writing

// What an entry may be is asked for, so that it stands in the backend alone; without an answer a book can be signed as well.
async function learn() {
  const rules = await call("/api/rules");
  Object.assign(longest, rules.longest);
  for (const mood of rules.moods) {
    const choice = document.querySelector(".moods label").cloneNode(true);
    Object.assign(choice.querySelector("input"), { value: mood, checked: false });
    choice.querySelector("span").textContent = mood[0].toUpperCase() + mood.slice(1);
    document.querySelector(".moods").append(choice);
  }
  count();
}

const length = (text) => [...text].length;

function mistakes(entry) {
  const found = {};
  for (const [key, most] of Object.entries(longest)) {
    if (!entry[key].trim()) found[key] = "Please write something.";
    else if (length(entry[key].trim()) > most) found[key] = `At most ${most} characters.`;
  }
  return found;
}

function show(fields) {
  for (const key of ["name", "message", "mood"]) {
    element(`${key}-error`).textContent = fields[key] ?? "";
    element(key)?.setAttribute("aria-invalid", key in fields);
  }
}

function count() {
  const most = Number.isFinite(longest.message) ? ` of ${longest.message}` : "";
  element("message-count").textContent = `${length(form.elements.message.value)}${most}`;
}

async function write() {
  const button = element("submit");
  if (button.ariaDisabled === "true") return;
  const { name, message, mood } = form.elements;
  const entry = { name: name.value, message: message.value, mood: mood.value || null };
  const fields = mistakes(entry);
  show(fields);
  element("form-problem").hidden = true;
  element("thanks").textContent = "";
  if (Object.keys(fields).length) {
    element(Object.keys(fields)[0]).focus();
    return;
  }

  button.ariaDisabled = "true";
  button.textContent = "Signing…";
  try {
    const headers = { "Content-Type": "application/json" };
    const kept = await call("/api/entries", { method: "POST", headers, body: JSON.stringify(entry) });
    list.prepend(line(kept));
    element("empty").hidden = true;
    form.reset();
    count();
    element("thanks").textContent = `Thank you, ${kept.name}. Your entry is in the book.`;
  } catch (error) {
    show(error.fields ?? {});
    element("form-problem").textContent = error.message;
    element("form-problem").hidden = false;
  } finally {
    button.ariaDisabled = "false";
    button.textContent = "Sign";
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  write();
});
form.elements.message.addEventListener("input", count);
older.addEventListener("click", read);
element("retry").addEventListener("click", read);

count();
learn().catch(() => {}); // `read` tells that nobody answers
read();
