// SPDX-License-Identifier: Apache-2.0
//
// The HTTP side: rows as JSON, read-only SQL as NDJSON, health, metrics, static files, and what is refused.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { merrowBinary } from "./lib/binary.mjs";
import { Client, traffic } from "./lib/loro_client.mjs";
import { startServer, testSchema } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

async function writeNote(t, server, key, fill) {
  const client = new Client(server);
  const doc = await client.join("note", key);
  const before = traffic.acknowledged.length;
  fill(doc);
  doc.commit();
  await waitFor(
    "the edit is acknowledged",
    () => traffic.acknowledged.length > before,
  );
  return doc;
}

test(
  "GET /v1/rows shows a row with every column, and 404 for what is not there",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    await writeNote(t, server, "kinds", (doc) => {
      doc.getMap("row").set("title", 'Größe "𝄞"');
      doc.getMap("row").set("stars", 5);
      doc.getText("body").insert(0, "line\n\u0001");
      doc.getCounter("votes").increment(2.5);
      doc.getList("tags").push({ deep: [1, null, true, 0.5] });
      doc.getMap("props").set("k", ["v"]);
    });
    assert.deepEqual(await server.row("note", "kinds"), {
      id: "kinds",
      title: 'Größe "𝄞"',
      stars: 5,
      body: "line\n\u0001",
      votes: 2.5,
      tags: [{ deep: [1, null, true, 0.5] }],
      props: { k: ["v"] },
    });
    for (const path of [
      "/v1/rows/note/absent",
      "/v1/rows/nothing/x",
      "/v1/rows/note",
      "/v1/nothing",
      "/rows.html",
    ]) {
      const response = await fetch(`${server.url}${path}`);
      assert.equal(response.status, 404, path);
    }
    const odd = "a/b ?%#é";
    await writeNote(t, server, odd, (doc) =>
      doc.getText("body").insert(0, "odd key"),
    );
    assert.equal((await server.row("note", odd)).body, "odd key");
    const put = await fetch(`${server.url}/v1/rows/note/kinds`, {
      method: "PUT",
      body: "{}",
    });
    assert.equal(put.status, 405);
  },
);

test(
  "POST /v1/queries answers read-only SQL over the projected rows as NDJSON",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    for (const n of [1, 2, 3]) {
      await writeNote(t, server, `q${n}`, (doc) => {
        doc.getMap("row").set("title", `note ${n}`);
        doc.getText("body").insert(0, "x".repeat(n));
        doc.getCounter("votes").increment(n);
      });
    }
    const { columns, rows, rowNumbers, end } = await server.query(
      "SELECT id, title, length(body) AS size, votes FROM note WHERE votes >= ? ORDER BY id",
      [2],
    );
    assert.deepEqual(columns, ["id", "title", "size", "votes"]);
    assert.deepEqual(rows, [
      ["q2", "note 2", 2, 2],
      ["q3", "note 3", 3, 3],
    ]);
    assert.equal(rowNumbers.length, 2);
    assert.equal(typeof end.time, "number");

    const parameters = await server.query("SELECT ?1, ?2, ?3, ?4", [
      "é",
      1.5,
      null,
      7,
    ]);
    assert.deepEqual(parameters.rows, [["é", 1.5, null, 7]]);

    for (const sql of [
      "DELETE FROM note",
      "UPDATE note SET title = 'x'",
      "CREATE TABLE t (a)",
      "PRAGMA journal_mode = DELETE",
      "ATTACH ':memory:' AS other",
      "SELECT 1; SELECT 2",
      "SELEC",
      "",
    ]) {
      const response = await fetch(`${server.url}/v1/queries`, {
        method: "POST",
        body: JSON.stringify([sql, []]),
      });
      const text = await response.text();
      const refused =
        response.status >= 400 ||
        text.split("\n").some((line) => line && "error" in JSON.parse(line));
      assert.ok(refused, `${sql}: ${response.status} ${text}`);
    }
    for (const body of ["", "{}", "[1]", '["SELECT 1", 5]', "x"]) {
      const response = await fetch(`${server.url}/v1/queries`, {
        method: "POST",
        body,
      });
      assert.equal(response.status, 400, body);
      await response.text();
    }
    assert.deepEqual((await server.query("SELECT count(*) FROM note")).rows, [
      [3],
    ]);
  },
);

test("GET /healthz and /metrics", { timeout: 60_000 }, async (t) => {
  const server = await startServer(t);
  const health = await fetch(`${server.url}/healthz`);
  assert.equal(health.status, 200);
  await health.text();
  await writeNote(t, server, "m", (doc) => doc.getText("body").insert(0, "x"));
  const metrics = await fetch(`${server.url}/metrics`);
  assert.equal(metrics.status, 200);
  assert.match(metrics.headers.get("content-type"), /^text\/plain/);
  const text = await metrics.text();
  assert.match(text, /^# TYPE merrow_\w+ (counter|gauge|histogram|summary)$/m);
  for (const line of text
    .split("\n")
    .filter((line) => line && !line.startsWith("#"))) {
    assert.match(
      line,
      /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? [-+0-9.eInfNa]+$/,
    );
  }
});

test(
  "--static serves files with their types and nothing outside the directory",
  { timeout: 60_000 },
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "merrow-static-"));
    t.after(() => rm(directory, { recursive: true, force: true }));
    await writeFile(
      join(directory, "index.html"),
      "<!doctype html><title>hi</title>",
    );
    await writeFile(join(directory, "main.js"), "export {};");
    await writeFile(join(directory, "style.css"), "a{}");
    await writeFile(join(directory, "m.wasm"), Buffer.from([0, 97, 115, 109]));
    const server = await startServer(t, { args: ["--static", directory] });
    for (const [path, type] of [
      ["/", "text/html"],
      ["/index.html", "text/html"],
      ["/main.js", "text/javascript"],
      ["/style.css", "text/css"],
      ["/m.wasm", "application/wasm"],
    ]) {
      const response = await fetch(`${server.url}${path}`);
      assert.equal(response.status, 200, path);
      assert.ok(response.headers.get("content-type").startsWith(type), path);
      await response.arrayBuffer();
    }
    for (const path of [
      "/../merrow.db",
      "/%2e%2e/merrow.db",
      "/..%2fmerrow.db",
      "//etc/passwd",
      "/absent.js",
      "/%00",
      "/.",
    ]) {
      const status = await rawStatus(server, path);
      assert.ok(
        status === 404 || status === 400 || status === 403,
        `${path}: ${status}`,
      );
    }
  },
);

// The status of a path that is sent as it is, without the normalisation that fetch does.
function rawStatus(server, path) {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: "127.0.0.1", port: server.port, path },
      (response) => {
        response.resume();
        resolve(response.statusCode);
      },
    );
    asked.on("error", reject);
    asked.end();
  });
}

test(
  "requests that name another host or come from another site are refused",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    const status = (headers) =>
      new Promise((resolve, reject) => {
        const socket = connect(server.port, "127.0.0.1", () => {
          socket.write(
            `GET /healthz HTTP/1.1\r\nConnection: close\r\n${headers}\r\n\r\n`,
          );
        });
        let text = "";
        socket.on("data", (data) => (text += data));
        socket.on("end", () =>
          resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1])),
        );
        socket.on("error", reject);
      });
    assert.equal(await status(`Host: 127.0.0.1:${server.port}`), 200);
    assert.equal(await status(`Host: localhost:${server.port}`), 200);
    assert.equal(await status("Host: evil.example"), 403);
    assert.equal(
      await status(
        `Host: 127.0.0.1:${server.port}\r\nOrigin: https://evil.example`,
      ),
      403,
    );
  },
);

// Runs the binary to its end: {code, output}.
function run(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(merrowBinary(), args, {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.on("data", (data) => (output += data));
    child.stderr.on("data", (data) => (output += data));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

test(
  "without authentication only loopback addresses are listened on; bad arguments end with a message",
  { timeout: 60_000 },
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "merrow-args-"));
    t.after(() => rm(directory, { recursive: true, force: true }));
    const db = join(directory, "merrow.db");
    for (const listen of [
      "0.0.0.0:0",
      "192.0.2.1:0",
      "[::]:0",
      "nonsense",
      "127.0.0.1:99999",
    ]) {
      const { code, output } = await run([
        "serve",
        "--db",
        db,
        "--schema",
        testSchema,
        "--listen",
        listen,
      ]);
      assert.notEqual(code, 0, listen);
      assert.ok(output.trim().length > 0, listen);
      assert.doesNotMatch(output, /listening on/, listen);
    }
    const missing = await run([
      "serve",
      "--db",
      db,
      "--schema",
      join(directory, "absent.sql"),
    ]);
    assert.notEqual(missing.code, 0);
    assert.match(missing.output, /absent\.sql/);
    const bad = join(directory, "bad.sql");
    await writeFile(
      bad,
      "CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, body CRDT_NOTHING);",
    );
    const refused = await run([
      "serve",
      "--db",
      db,
      "--schema",
      bad,
      "--listen",
      "127.0.0.1:0",
    ]);
    assert.notEqual(refused.code, 0);
    assert.match(refused.output, /CRDT_NOTHING/);
  },
);

test(
  "a second server on the same file is refused",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    const { code, output } = await run([
      "serve",
      "--db",
      server.db,
      "--schema",
      testSchema,
      "--listen",
      "127.0.0.1:0",
    ]);
    assert.notEqual(code, 0);
    assert.ok(output.trim().length > 0);
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  },
);
