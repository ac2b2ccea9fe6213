// deploylib health.mjs 1 sha256:6e09c427b8da8ec1ece475687cb1f3d823364b9d0d6c22630c8828ecc6b7a468
/* Health answers and a graceful shutdown, for node's http, Express or Fastify. A copy of the file that
   `inv local.health --write DIR` writes; it needs Node 18.2 and nothing else.

     const health = createHealth({ version: "1.4.0", revision: async () => …ask the database… });
     const server = createServer((req, res) => health(req, res, () => …));      // Express: app.use(health)
     health.shutdown(server, () => pool.end());                                 // what is closed last

   /api/health/live asks nobody, /api/health the database as well; docs/health.md of deploylib has fields and codes. */
const DEADLINE = 1500, SLOW = 1000, KEPT = 1000, GIVEN_UP = 10_000, HANGING_MOST = 3; // ms, ms, ms, ms, looks
const CAUSES = Object.entries({
  full: /53300|too many (clients|connections)|connection slots|no more connections allowed/,
  pool: /timeout exceeded when trying to connect/,
  schema: /42P01|(relation|table) \S+ does not exist|no such table/,
  missing: /3D000|database \S+ does not exist/,
  auth: /28P01|28000|42501|authentication failed|no pg_hba\.conf entry|password must be a string|role \S+ does not exist/,
  timeout: /57014|ETIMEDOUT|TimeoutError|[Tt]imed? ?out/,
  dns: /ENOTFOUND|EAI_AGAIN|could not translate host name/,
  refused: /ECONNREFUSED|[Cc]onnection refused/,
  misconfigured: /ERR_INVALID|[Ii]nvalid (URL|URI|port|integer|percent|connection)|TypeError|URIError/,
});

/** One of a few codes: an error's own text may hold the host, the user, or a piece of the password. */
export function codeOf(error) {
  const said = [error, error?.cause, ...(error?.errors ?? [])].map((each) => `${each?.name} ${each?.code} ${each?.message}`);
  return CAUSES.find(([, words]) => said.some((text) => words.test(text)))?.[0] ?? "other";
}

export function createHealth({ version, revision, path = "/api/health", shutdownSeconds = 28 } = {}) {
  const began = Date.now();
  const inFlight = new Set();
  let stopping = false, last, hanging = 0;

  function look() {
    const age = performance.now() - (last?.ended ?? last?.began);
    if (last && (last.ended ? age <= KEPT : age <= GIVEN_UP || hanging >= HANGING_MOST)) return last;
    const now = (last = { time: Date.now(), began: performance.now() });
    hanging += 1;
    now.done = (async () => (await revision()) || null)()
      .then((found) => (now.revision = found), (error) => (now.code = codeOf(error)))
      .finally(() => ((now.ended = performance.now()), (hanging -= 1)));
    return now;
  }

  function checks({ time, began, ended, revision, code }) {
    const at = Math.min(ended ?? Infinity, began + DEADLINE);
    if (!ended || ended >= began + DEADLINE) code = "timeout";
    const answered = !code || code === "schema";
    if (answered && !revision) code = "schema";
    const age = performance.now() - (ended ?? at);
    const when = { time: new Date(time + (ended ?? at) - began).toISOString(), ageSeconds: Math.round(age / 100) / 10 };
    const response = { status: answered ? "pass" : "fail", ...when, observedUnit: "ms" };
    response.observedValue = Math.round(((ended ?? at) - began) * 10) / 10;
    if (answered && response.observedValue > SLOW) Object.assign(response, { status: "warn", code: "slow" });
    if (!answered) response.code = code;
    const schema = { status: code ? "fail" : "pass", observedValue: answered ? (revision ?? null) : null, ...when };
    if (code === "schema") schema.code = code;
    return { "database:responseTime": [response], "database:revision": [schema] };
  }

  async function answer(full, req, res) {
    let found;
    if (full && stopping) {
      found = { "process:state": [{ status: "fail", code: "stopping" }] };
    } else if (full && revision) {
      const now = look();
      let timer;
      const late = new Promise((resolve) => (timer = setTimeout(resolve, now.began + DEADLINE - performance.now())));
      await Promise.race([now.done, late]);
      clearTimeout(timer);
      found = checks(now);
    }
    const seen = Object.values(found ?? {}).map(([check]) => check.status);
    const status = ["fail", "warn"].find((each) => seen.includes(each)) ?? "pass";
    const body = JSON.stringify({
      status, version, releaseId: process.env.RENDER_GIT_COMMIT, deployedAt: new Date(began).toISOString(),
      uptimeSeconds: Math.round((Date.now() - began) / 100) / 10, instance: process.env.RENDER_INSTANCE_ID, checks: found,
    });
    const headers = { "Content-Type": "application/health+json", "Cache-Control": "no-store" };
    res.writeHead(status === "fail" ? 503 : 200, { ...headers, "Content-Length": Buffer.byteLength(body) });
    res.end(req.method === "HEAD" ? undefined : body);
  }

  function health(req, res, next) {
    inFlight.add(res);
    res.once("close", () => inFlight.delete(res));
    if (stopping) res.setHeader("Connection", "close");
    const asked = (req.originalUrl ?? req.url).split("?")[0];
    if (asked !== path && asked !== `${path}/live`) return next();
    if (req.method === "GET" || req.method === "HEAD") return void answer(asked === path, req, res);
    res.writeHead(405, { Allow: "GET, HEAD", "Content-Length": 0 }).end();
  }

  /** On SIGTERM: fail, let what is in flight finish, close what is idle, then `close` in order, and end with 0. */
  health.shutdown = (server, ...close) =>
    process.once("SIGTERM", () => {
      stopping = true;
      for (const res of inFlight) if (!res.headersSent) res.setHeader("Connection", "close");
      setTimeout(() => process.exit(0), shutdownSeconds * 1000).unref();
      // A connection on which nothing has come yet is not idle for node, and would hold the end for a minute.
      setInterval(() => (inFlight.size ? server.closeIdleConnections() : server.closeAllConnections()), 200).unref();
      server.close(async () => {
        for (const each of close) await Promise.resolve().then(each).catch((error) => console.error(codeOf(error)));
        process.exit(0);
      });
    });
  return health;
}
