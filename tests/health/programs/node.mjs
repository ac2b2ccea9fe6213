// node's own server with the health file; /slow takes as long as SLOW says. psql stands in for a driver: none is installed here.
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { promisify } from "node:util";
import { createHealth } from "../../../deploylib/health/health.mjs";

const { DATABASE_URL, PORT, PSQL, QUERY, SLOW, WITHIN } = process.env;
const ask = promisify(execFile);
const revision = async () => (await ask(PSQL, ["-XAt", "-F", "\n", "-c", QUERY, DATABASE_URL])).stdout.split("\n")[0];
const health = createHealth({ version: "1.4.0", revision, shutdownSeconds: Number(WITHIN) });
const answer = (req, res) =>
  setTimeout(() => res.writeHead(200, { "Content-Length": 5 }).end("done\n"), req.url === "/slow" ? SLOW * 1000 : 0);
const server = createServer((req, res) => health(req, res, () => answer(req, res)));
health.shutdown(server, () => console.error("closed last"));
server.listen({ port: Number(PORT), host: "127.0.0.1", backlog: 4096 });
