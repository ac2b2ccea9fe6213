// deploylib deploy-status.js 1 sha256:c898b377a6965445a316946e5bf14e05b2a95b243df321e3f6569df1be7a9868
/* <deploy-status>: which version a page is, when it was deployed, how its service is, and whether the page is an old one.
   A copy of the file that `inv local.health --write DIR --language browser` writes; no framework, no style of the page, no build.

     <script type="module" src="/deploy-status.js"></script>
     <deploy-status health="https://api.example.com/api/health" link="https://github.com/me/shop/commit/{release}">
       Version 3f2a91c
     </deploy-status>

   The page names its commit: <meta name="release" content="…">. What stands inside is for browsers without scripts.
   docs/deploy-status.md of deploylib tells every attribute and state. */

const PATIENCE = 5_000, AGAIN = 30_000, SURE = 5_000; // ms: for an answer; between two looks; until a difference is one
const COMMIT = /^[0-9a-f]{7,40}$/i;
export const STATES = {
  pass: ["✓", "works"],
  warn: ["!", "works, with trouble"],
  fail: ["✗", "is out of order"],
  unreachable: ["?", "cannot be reached"],
};

/** The state that an answer tells; empty where it tells none, which is not the same as any of them. */
export function stateOf(status, body) {
  const told = { pass: "pass", ok: "pass", up: "pass", warn: "warn", fail: "fail", error: "fail", down: "fail" };
  const state = told[String(body?.status ?? "").toLowerCase()] ?? "";
  if (status >= 200 && status < 400) return state;
  return state ? "fail" : status >= 500 ? "unreachable" : "";
}

/** Whether what is served is surely something else than what is shown; what nobody knows is no difference. */
export function isOther(shown, served) {
  if (!COMMIT.test(shown ?? "") || !COMMIT.test(served ?? "")) return false;
  const [one, two] = [shown, served].map((commit) => commit.toLowerCase());
  return !one.startsWith(two) && !two.startsWith(one);
}

/** The address of a commit; empty where there is none that a browser may follow. */
export function linkTo(template, release) {
  const link = (template ?? "").replaceAll("{release}", encodeURIComponent(release ?? ""));
  return release && /^https?:\/\//i.test(link) ? link : "";
}

/** A moment in the words of a person, and empty where it is none. */
export function ago(moment, now = Date.now()) {
  const seconds = (now - moment) / 1000;
  if (!Number.isFinite(seconds)) return "";
  const steps = [["day", 86_400], ["hour", 3_600], ["minute", 60]];
  const [unit, length] = steps.find(([, length]) => seconds >= length) ?? [];
  return unit ? new Intl.RelativeTimeFormat("en").format(-Math.floor(seconds / length), unit) : "just now";
}

async function ask(url, read) {
  const signal = AbortSignal.timeout(PATIENCE);
  const answer = await fetch(url, { signal, cache: "no-store", credentials: "omit" });
  return read(answer);
}

const STYLE = `
  :host { display: block; font: inherit; }
  a, button { color: inherit; font: inherit; }
  a:focus-visible, button:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
  button { background: none; border: 1px solid currentColor; border-radius: .3em; cursor: pointer; padding: .1em .6em; }
  .old { border-left: 3px solid currentColor; margin: .5em 0 0; padding-left: .6em; }
  .sign { display: inline-block; font-weight: bold; min-width: 1em; text-align: center; }
  p { margin: 0; }
  [hidden] { display: none; }`;

const make = (name, attributes = {}, ...inside) => {
  const element = Object.assign(document.createElement(name), attributes);
  element.append(...inside);
  return element;
};

class DeployStatus extends (globalThis.HTMLElement ?? class {}) {
  #looked = -Infinity;
  #other = "";
  #timer;
  #over;

  connectedCallback() {
    this.#build();
    this.#over = new AbortController();
    const { signal } = this.#over;
    const back = () => document.visibilityState === "visible" && this.look();
    addEventListener("focus", back, { signal });
    document.addEventListener("visibilitychange", back, { signal });
    const lost = ({ target }) => target instanceof Element && target.matches("script, link, img") && this.look(SURE);
    addEventListener("error", lost, { signal, capture: true }); // a file of a build that is gone
    addEventListener("unhandledrejection", ({ reason }) => reason instanceof TypeError && this.look(SURE), { signal });
    this.look();
  }

  disconnectedCallback() {
    this.#over?.abort();
    clearTimeout(this.#timer);
    this.#looked = -Infinity;
  }

  get release() {
    return this.getAttribute("release") ?? document.querySelector('meta[name="release"]')?.content ?? "";
  }

  /** Ask how the service is, and what is served now; at most once in so many milliseconds. */
  async look(every = AGAIN) {
    const now = performance.now();
    if (now - this.#looked < every || navigator.onLine === false) return;
    this.#looked = now;
    await Promise.all([this.#health(), this.#page()]);
  }

  async #health() {
    const url = this.getAttribute("health");
    if (!url) return;
    let status = 0, body;
    try {
      await ask(url, async (answer) => {
        status = answer.status;
        body = await answer.json().catch(() => undefined);
      });
    } catch {
      if (navigator.onLine === false) return; // it is the visitor who is gone
      return this.#tell("unreachable");
    }
    this.#tell(stateOf(status, body), body);
  }

  #tell(state, body) {
    const [sign, words] = STATES[state] ?? ["", ""];
    if (state !== this.getAttribute("state")) {
      const mark = make("span", { className: "sign" }, sign);
      mark.setAttribute("aria-hidden", "true"); // the words say the same
      this.#state.replaceChildren(...(state ? [mark, ` The service ${words}.`] : []));
      this.setAttribute("state", state);
    }
    const moment = new Date(body?.deployedAt ?? NaN), when = ago(moment), release = String(body?.releaseId ?? "");
    const other = isOther(this.release, release) ? [` · service ${release.slice(0, 7)}`] : [];
    const time = when && make("time", { dateTime: moment.toISOString(), title: moment.toLocaleString() }, when);
    if (state !== "unreachable") this.#when.replaceChildren(...(when ? ["· deployed ", time] : []), ...other);
  }

  /** What the address of this page serves now; a difference counts once it was seen twice: traffic may be on its way over. */
  async #page() {
    const url = new URL(this.getAttribute("page") ?? location.href, location.href);
    url.hash = "";
    let served = "";
    try {
      served = await ask(url, async (answer) => {
        if (!answer.ok || !answer.headers.get("content-type")?.includes("html")) return "";
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        return page.querySelector('meta[name="release"]')?.content ?? "";
      });
    } catch {
      return; // nobody knows
    }
    if (!isOther(this.release, served)) return (this.#other = "");
    if (this.#other === served) return this.#sayOld();
    this.#other = served;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#page(), SURE);
  }

  #sayOld() {
    if (!this.#old.hidden) return;
    const reload = make("button", { type: "button" }, "Reload");
    reload.addEventListener("click", () => location.reload());
    this.#old.replaceChildren("Another version is live than this page shows. ", reload);
    this.#old.hidden = false;
  }

  #build() {
    if (this.shadowRoot) return;
    const style = new CSSStyleSheet(); // no element: a policy of the page may forbid those
    style.replaceSync(STYLE);
    const short = this.release.slice(0, 7);
    const link = linkTo(this.getAttribute("link"), this.release);
    const version = link ? make("a", { href: link, rel: "noreferrer" }, short) : make("span", {}, short);
    version.title = this.release;
    this.#when = make("span");
    this.#state = make("p");
    this.#old = make("p", { hidden: true, className: "old" });
    const told = make("div", {}, this.#state, this.#old);
    told.setAttribute("role", "status");
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [style];
    root.append(make("p", {}, ...(COMMIT.test(short) ? ["Version ", version, " "] : []), this.#when), told);
  }

  #when;
  #state;
  #old;
}

globalThis.customElements?.get("deploy-status") ?? globalThis.customElements?.define("deploy-status", DeployStatus);
