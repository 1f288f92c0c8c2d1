// SPDX-License-Identifier: Apache-2.0
//
// Runs `merrow serve` for a test: a fresh directory for its database, start and restart on the same port, SIGTERM and
// SIGKILL, its log kept for when a test fails. Everything is gone when the test ends.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { merrowBinary } from "./binary.mjs";

const listening =
  /^merrow: listening on (http:\/\/(\d+\.\d+\.\d+\.\d+|\[::1\]):(\d+))$/;
const startTimeoutMs = 30_000;
const stopTimeoutMs = 30_000;

export const testSchema = fileURLToPath(
  new URL("../schema.sql", import.meta.url),
);

// Starts a server that stops when the test `t` ends. `args` are further command line arguments.
export async function startServer(
  t,
  { schema = testSchema, args = [], db } = {},
) {
  const directory = await mkdtemp(join(tmpdir(), "merrow-test-"));
  const server = new Server(directory, {
    db: db ?? join(directory, "merrow.db"),
    schema,
    args,
  });
  t.after(() => server.dispose());
  await server.start();
  return server;
}

export class Server {
  // Where everything of this server is; removed at the end.
  directory;
  db;
  port = 0;
  // Lines of standard output and standard error of all starts.
  log = [];
  // What the next start takes.
  schema;
  args;
  // Put before the program, say ["ip", "netns", "exec", name].
  prefix;
  #process = null;
  #exited = null;
  #beforeEnd = [];

  constructor(directory, { db, schema, args, prefix = [] }) {
    this.directory = directory;
    this.db = db;
    this.schema = schema;
    this.args = args;
    this.prefix = prefix;
  }

  // The port at which this process reaches it.
  get clientPort() {
    return this.port;
  }

  get url() {
    return `http://127.0.0.1:${this.clientPort}`;
  }

  get syncUrl() {
    return `ws://127.0.0.1:${this.clientPort}/sync`;
  }

  get rowsUrl() {
    return `ws://127.0.0.1:${this.clientPort}/rows`;
  }

  get pid() {
    return this.#process?.pid;
  }

  // Starts on the port of the last start, or on any free one. Resolves when the server listens.
  async start() {
    const [command, ...args] = [
      ...this.prefix,
      merrowBinary(),
      "serve",
      "--db",
      this.db,
      "--schema",
      this.schema,
      "--listen",
      `127.0.0.1:${this.port}`,
      ...this.args,
    ];
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    this.#exited = new Promise((resolve) => {
      child.once("error", (error) =>
        resolve({ code: null, signal: null, error }),
      );
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    createInterface({ input: child.stderr }).on("line", (line) =>
      this.log.push(line),
    );
    const firstLine = new Promise((resolve) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        this.log.push(line);
        resolve(line);
      });
    });
    let timer;
    const outcome = await Promise.race([
      firstLine,
      this.#exited.then(
        ({ code, signal, error }) =>
          new Error(
            `server ended: ${error?.message ?? `code ${code}, signal ${signal}`}`,
          ),
      ),
      new Promise((resolve) => {
        timer = setTimeout(
          resolve,
          startTimeoutMs,
          new Error(`no line of output in ${startTimeoutMs} ms`),
        );
      }),
    ]);
    clearTimeout(timer);
    if (outcome instanceof Error)
      throw new Error(`${outcome.message}\n${this.tail()}`);
    const match = listening.exec(outcome);
    if (!match)
      throw new Error(
        `first line is not the address: ${outcome}\n${this.tail()}`,
      );
    this.port = Number(match[3]);
  }

  // Sends a signal and waits for the end. Resolves to {code, signal}.
  async stop(signal = "SIGTERM") {
    const child = this.#process;
    if (!child) return { code: null, signal: null };
    child.kill(signal);
    const killer = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
    const outcome = await this.#exited;
    clearTimeout(killer);
    this.#process = null;
    return outcome;
  }

  kill() {
    return this.stop("SIGKILL");
  }

  // Runs before the server goes down for good, latest first: clients leave while it still listens.
  beforeEnd(action) {
    this.#beforeEnd.push(action);
  }

  async dispose() {
    for (const action of this.#beforeEnd.splice(0).reverse()) await action();
    await this.stop("SIGKILL");
    await rm(this.directory, { recursive: true, force: true });
  }

  tail(lines = 40) {
    return this.log.slice(-lines).join("\n");
  }

  // The row as JSON; null if there is none.
  async row(table, key) {
    const response = await fetch(
      `${this.url}/v1/rows/${table}/${encodeURIComponent(key)}`,
    );
    if (response.status === 404) return null;
    if (!response.ok)
      throw new Error(`row ${table}/${key}: HTTP ${response.status}`);
    return response.json();
  }

  // The answer of POST /v1/queries: {columns, rows, end, error}.
  async query(sql, params = []) {
    const response = await fetch(`${this.url}/v1/queries`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify([sql, params]),
    });
    if (!response.ok)
      throw new Error(
        `query: HTTP ${response.status} ${await response.text()}`,
      );
    const lines = (await response.text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    return {
      columns: lines.find((line) => "columns" in line)?.columns,
      rows: lines.filter((line) => "row" in line).map((line) => line.row[1]),
      rowNumbers: lines
        .filter((line) => "row" in line)
        .map((line) => line.row[0]),
      end: lines.find((line) => "eoq" in line)?.eoq,
      error: lines.find((line) => "error" in line)?.error,
      lines,
    };
  }

  // The value of a metric, summed over its labels; null if it is not there.
  async metric(name) {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const values = text
      .split("\n")
      .filter(
        (line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`),
      )
      .map((line) => Number(line.slice(line.lastIndexOf(" ") + 1)));
    return values.length === 0 ? null : values.reduce((a, b) => a + b, 0);
  }
}
