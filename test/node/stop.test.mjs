// SPDX-License-Identifier: Apache-2.0
//
// Servers that cannot drain, because their store hangs in one piece of work without end: they end all the same, with
// what they have acknowledged on disk. And what else ends a server.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { merrowBinary } from "./lib/binary.mjs";
import { sitesSchema, startSite } from "./lib/site.mjs";
import { waitFor } from "./lib/wait.mjs";

const timeout = 180_000;
const exitNotStopped = 3;

// A pattern that almost fits everywhere: to see that it does not takes minutes, and SQLite does not look at the time
// meanwhile.
const endless =
  "printf('%.12000000c', 'a') LIKE '%' || printf('%.49000c', 'a') || 'b'";

// A site whose store thread has begun a statement that has no end; a row was acknowledged before.
async function startHanging(t, args = []) {
  const site = await startSite(t, { peerHost: null, args });
  await site.transact([["INSERT INTO tests VALUES (1, 'acknowledged')"]]);
  const lost = site
    .transact([[`INSERT INTO tests VALUES (2, ${endless})`]])
    .then(
      () => assert.fail("a transaction without end was acknowledged"),
      () => {},
    );
  await waitFor("the store hangs", async () => {
    const { threads, store } = await site.status();
    return (
      store === null &&
      threads.find(({ name }) => name === "the store thread").busy_ms > 1000
    );
  });
  return { site, lost };
}

async function startsAgainWithWhatWasAcknowledged(site) {
  site.extraArgs = [];
  await site.start();
  assert.deepEqual(await site.select("SELECT * FROM tests"), [
    [1, "acknowledged"],
  ]);
  assert.deepEqual(await site.stop(), { code: 0, signal: null });
}

for (const second of ["SIGTERM", "SIGINT"])
  test(
    `a second signal, ${second}, ends a server that hangs`,
    { timeout },
    async (t) => {
      const { site, lost } = await startHanging(t);
      const { pid } = site;
      process.kill(pid, "SIGTERM");
      await waitFor("it drains", () => /signal 15: draining/.test(site.tail()));
      // Within a second of the first it is the same one for the server.
      await waitFor("it ends", () => {
        try {
          return !process.kill(pid, second);
        } catch {
          return true;
        }
      });
      assert.deepEqual(await site.stop(second), {
        code: exitNotStopped,
        signal: null,
      });
      await lost;
      assert.match(site.tail(), /^merrow: told to end again: ended at once/m);
      await startsAgainWithWhatWasAcknowledged(site);
    },
  );

test("--stop-timeout ends a server that hangs", { timeout }, async (t) => {
  const { site, lost } = await startHanging(t, ["--stop-timeout", "2"]);
  assert.deepEqual(await site.stop(), { code: exitNotStopped, signal: null });
  await lost;
  assert.match(
    site.tail(),
    /^merrow: not drained within 2 s \(stop-timeout\): ended at once$/m,
  );
  await startsAgainWithWhatWasAcknowledged(site);
});

test(
  "a query without end does not hold up the end either",
  { timeout },
  async (t) => {
    const site = await startSite(t, {
      peerHost: null,
      args: ["--stop-timeout", "2"],
    });
    await site.transact([["INSERT INTO tests VALUES (1, 'acknowledged')"]]);
    const asked = site.query(`SELECT ${endless}`).catch(() => {});
    // Queries take their turn at the store, and are taken by threads in that order.
    await waitFor("the query runs", () => site.select("SELECT 1"));
    assert.deepEqual(await site.stop(), { code: exitNotStopped, signal: null });
    await asked;
    await startsAgainWithWhatWasAcknowledged(site);
  },
);

test("a token file that hangs holds up nothing", { timeout }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "merrow-hanging-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const token = join(directory, "token");
  await writeFile(token, "a-token\n");
  const site = await startSite(t, { args: ["--peer-token-file", token] });
  await rm(token);
  execFileSync("mkfifo", [token]);
  process.kill(site.pid, "SIGHUP");
  await site.status();
  assert.deepEqual(await site.stop(), { code: 0, signal: null });
});

test(
  "a terminal that is closed ends the server in it, as SIGTERM does",
  { timeout },
  async (t) => {
    for (const { prefix, ends } of [
      { prefix: "", ends: true },
      { prefix: "nohup ", ends: false },
    ]) {
      const directory = await mkdtemp(join(tmpdir(), "merrow-terminal-"));
      t.after(() => rm(directory, { recursive: true, force: true }));
      const log = join(directory, "log");
      const pidFile = join(directory, "pid");
      const serve = [
        ...[merrowBinary(), "serve", "--replicate", "--listen", "127.0.0.1:0"],
        ...["--db", join(directory, "merrow.db"), "--schema", sitesSchema],
      ].join(" ");
      const terminal = spawn(
        "script",
        [
          "-qfc",
          `${prefix}${serve} >${log} 2>&1 & echo $! >${pidFile}; wait`,
          "/dev/null",
        ],
        { stdio: ["ignore", "ignore", "inherit"] },
      );
      const text = (path) => readFile(path, "utf8");
      await waitFor("it listens", async () =>
        /listening/.test(await text(log)),
      );
      const pid = Number(await text(pidFile));
      t.after(() => {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It has ended.
        }
      });
      // With its terminal there, SIGHUP is for new tokens and certificates.
      process.kill(pid, "SIGHUP");
      await waitFor("it reads again", async () =>
        /to read again/.test(await text(log)),
      );
      terminal.kill("SIGKILL");
      await waitFor("it notices", async () => {
        const lines = await text(log);
        return ends
          ? /signal 15: draining/.test(lines)
          : lines.match(/to read again/g).length === 2;
      });
      const isThere = () => {
        try {
          return process.kill(pid, 0);
        } catch {
          return false;
        }
      };
      if (ends) await waitFor("it ends", () => !isThere());
      else assert.ok(isThere());
    }
  },
);
