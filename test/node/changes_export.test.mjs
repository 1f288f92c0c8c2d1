// SPDX-License-Identifier: Apache-2.0
//
// `merrow changes export` from the database of a server that is busy writing it. Each export is what was committed at
// one moment: all transactions up to one, and nothing of the next. A file that is applied to an empty database gives
// what the server had then. The server does not notice.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { test } from "node:test";
import { merrowBinary } from "./lib/binary.mjs";
import { Client } from "./lib/loro_client.mjs";
import { startSite } from "./lib/site.mjs";
import { waitFor } from "./lib/wait.mjs";

const exportsMax = 12;
const merrow = async (...args) =>
  (await promisify(execFile)(merrowBinary(), args)).stdout;
const lockOf = async (site) => {
  const lock = `${site.db}-merrow-lock`;
  return [await readFile(lock, "utf8"), (await stat(lock)).mtimeMs];
};

// One transaction of the stream: a row of its own, a row that all overwrite, a document that all append to.
const transaction = (n) => [
  ["INSERT INTO tests VALUES (?, ?)", [n, `text ${n}`]],
  [
    "INSERT INTO service VALUES ('n', 's', ?, 1) ON CONFLICT DO UPDATE SET port = excluded.port",
    [n],
  ],
  ["DELETE FROM tests WHERE id = ?", [n - 7]],
  n === 1
    ? ["INSERT INTO note (id, title, body) VALUES ('n', '1', '1,')"]
    : ["UPDATE note SET title = ?, body = body || ? WHERE id = 'n'", [`${n}`, `${n},`]],
];

const expected = (n) => ({
  tests: Array.from({ length: Math.min(n, 7) }, (_, i) => n - Math.min(n, 7) + i + 1),
  port: n,
  title: `${n}`,
  body: Array.from({ length: n }, (_, i) => `${i + 1},`).join(""),
});

// What a server on an empty database has that all `files` were applied to, in this order.
async function applied(t, files) {
  const site = await startSite(t, { name: "copy" });
  await site.stop();
  await merrow("changes", "apply", "--db", site.db, ...files);
  await site.start();
  const note = await site.row("note", "n");
  const typed = await site.row("note", "typed");
  const state = {
    tests: (await site.select("SELECT id FROM tests ORDER BY id")).flat(),
    port: (await site.select("SELECT port FROM service"))[0][0],
    title: note.title,
    body: note.body,
  };
  await site.stop();
  return { state, typed: typed?.body ?? "" };
}

test(
  "an export while the server writes is all transactions up to one",
  { timeout: 300_000 },
  async (t) => {
    const site = await startSite(t, { name: "busy" });
    const client = new Client(site);
    site.beforeEnd(() => client.goOffline());
    const document = await client.join("note", "typed");
    const lock = await lockOf(site);

    let sent = 0;
    let acknowledged = 0;
    const versions = [0];
    let stop = false;
    const stream = (async () => {
      while (!stop) {
        sent += 1;
        versions[sent] = (await site.transact(transaction(sent))).version;
        acknowledged = sent;
      }
    })();
    const typing = setInterval(() => {
      document.getText("body").insert(document.getText("body").length, "x");
      document.commit();
    }, 2);
    t.after(() => clearInterval(typing));
    const running = (promise) => Promise.race([promise, stream]);

    await running(
      waitFor("the first transactions are there", () => acknowledged > 20),
    );
    const exports = [];
    const increments = [];
    for (let i = 0; i < exportsMax; i += 1) {
      const file = join(site.directory, `${i}.changes`);
      const increment = join(site.directory, `${i}.increment`);
      const before = acknowledged;
      await merrow("changes", "export", "--db", site.db, "-o", file);
      exports.push({ file, before, after: sent });
      // The same as a chain of files, each what is new since those before.
      const since = increments.flatMap((name) => ["--since", `@${name}`]);
      await merrow("changes", "export", "--db", site.db, ...since, "-o", increment);
      increments.push(increment);
    }
    stop = true;
    await stream;
    clearInterval(typing);
    assert.deepEqual(await lockOf(site), lock, "the lock file was touched");
    assert.equal((await site.status()).store?.write_failures ?? 0, 0);

    let typedBefore = 0;
    for (const { file, before, after } of exports) {
      const { state, typed } = await applied(t, [file]);
      const n = state.port;
      assert.ok(n >= before, `${file}: transaction ${before} was acknowledged, and ${n} is the last`);
      assert.ok(n <= after, `${file}: transaction ${n} was not sent`);
      assert.deepEqual(state, expected(n), `${file}: as of transaction ${n}`);
      assert.match(typed, /^x*$/);
      assert.ok(typed.length >= typedBefore);
      typedBefore = typed.length;
    }
    const last = exports.at(-1);
    const chain = await applied(t, increments);
    assert.ok(chain.state.port >= last.before);
    assert.deepEqual(chain.state, expected(chain.state.port));

    // Nobody writes any more: all of it, and under the versions that were answered.
    const file = join(site.directory, "all.changes");
    await waitFor("all edits are acknowledged", async () => {
      const typed = await site.row("note", "typed");
      return typed.body === document.getText("body").toString();
    });
    await merrow("changes", "export", "--db", site.db, "-o", file);
    const all = await applied(t, [file]);
    assert.deepEqual(all.state, expected(acknowledged));
    assert.equal(all.typed, document.getText("body").toString());
    const { sites } = JSON.parse(await merrow("changes", "inspect", "--json", file));
    const { site: name } = await site.status();
    const own = sites.find((one) => one.site === name);
    assert.ok(Number(own.versions.split("-").at(-1)) >= versions[acknowledged]);
  },
);
