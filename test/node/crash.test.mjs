// SPDX-License-Identifier: Apache-2.0
//
// The server is killed with SIGKILL at random moments under a stream of edits. After every restart each acknowledged
// edit is there, before the clients are let back in (they would send again what is missing); then they converge by
// themselves.
//
// MERROW_SEED replays the random choices (the moments still depend on the machine), MERROW_KILLS says how often.

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeImportBlobMeta } from "loro-crdt";
import {
  Client,
  expectedRow,
  plain,
  traffic,
  withoutEmpty,
} from "./lib/loro_client.mjs";
import { Gate } from "./lib/gate.mjs";
import { Random, seedFromEnvironment } from "./lib/random.mjs";
import { startServer } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const kills = Number(process.env.MERROW_KILLS ?? 20);
const rows = ["a", "b"];
const sameVersion = (a, b) => a.version().compare(b.version()) === 0;

// What the server has after a restart, seen by a client that had nothing.
async function readFromServer(server) {
  const reader = new Client(server, { name: "reader" });
  const docs = new Map();
  for (const key of rows)
    docs.set(`note/${key}`, await reader.join("note", key));
  reader.goOffline();
  return docs;
}

function assertHasAll(docs, acknowledged) {
  for (const { room, update } of acknowledged) {
    const has = docs.get(room).version().toJSON();
    for (const [peer, end] of decodeImportBlobMeta(
      update,
      false,
    ).partialEndVersionVector.toJSON()) {
      assert.ok(
        (has.get(peer) ?? 0) >= end,
        `${room}: op ${end - 1}@${peer} was acknowledged and is gone`,
      );
    }
  }
}

test(
  `every acknowledged edit survives ${kills} SIGKILLs, and clients converge by themselves`,
  { timeout: 600_000 },
  async (t) => {
    const seed = seedFromEnvironment(Math.floor(Date.now() / 1000));
    t.diagnostic(`seed ${seed}`);
    const random = new Random(seed);
    const server = await startServer(t);
    const gate = await Gate.before(server);
    const clients = [1, 2, 3].map(
      (n) => new Client(server, { name: `writer ${n}`, url: gate.syncUrl }),
    );
    const docs = [];
    for (const client of clients) {
      const mine = new Map();
      for (const key of rows)
        mine.set(`note/${key}`, await client.join("note", key));
      docs.push(mine);
    }

    let serial = 0;
    const edit = () => {
      const doc = random.pick(docs).get(`note/${random.pick(rows)}`);
      const text = doc.getText("body");
      serial += 1;
      if (random.chance(0.8) || text.length < 10)
        text.insert(random.below(text.length + 1), `${serial},`);
      else text.delete(random.below(text.length - 3), 3);
      doc.getCounter("votes").increment(1);
      if (random.chance(0.2)) doc.getList("tags").push(serial);
      doc.commit();
    };
    // An edit every millisecond or so, also while the server is down.
    const stream = setInterval(edit, 1);
    t.after(() => clearInterval(stream));

    for (let kill = 1; kill <= kills; kill += 1) {
      const target = traffic.acknowledged.length + random.between(1, 60);
      await waitFor(
        "edits are acknowledged",
        () => traffic.acknowledged.length >= target,
        { everyMs: 1 },
      );
      await server.kill();
      gate.close();
      await server.start();
      const found = await readFromServer(server);
      try {
        assertHasAll(found, traffic.acknowledged);
      } catch (error) {
        throw new Error(
          `kill ${kill}, seed ${seed}: ${error.message}\n${server.tail()}`,
        );
      } finally {
        gate.open();
      }
    }

    clearInterval(stream);
    for (const key of rows) {
      const room = `note/${key}`;
      await waitFor(
        `all writers have the same version of ${room}`,
        () =>
          docs.every((mine) => sameVersion(mine.get(room), docs[0].get(room))),
        { timeoutMs: 60_000 },
      );
      for (const mine of docs)
        assert.deepEqual(plain(mine.get(room)), plain(docs[0].get(room)));
    }
    // The votes count edits, so a lost or doubled one shows.
    const total = rows.reduce(
      (sum, key) => sum + docs[0].get(`note/${key}`).getCounter("votes").value,
      0,
    );
    assert.equal(total, serial);

    // One more death, now with everything acknowledged: nothing at all is missing.
    const quiet = await readFromServer(server);
    for (const key of rows)
      assert.ok(
        sameVersion(quiet.get(`note/${key}`), docs[0].get(`note/${key}`)),
      );
    await server.kill();
    gate.close();
    await server.start();
    const final = await readFromServer(server);
    gate.open();
    for (const key of rows) {
      const doc = final.get(`note/${key}`);
      assert.deepEqual(plain(doc), plain(docs[0].get(`note/${key}`)));
      assert.deepEqual(
        withoutEmpty(await server.row("note", key)),
        expectedRow(key, doc),
      );
    }
    t.diagnostic(
      `${kills} kills, ${serial} edits, ${traffic.acknowledged.length} updates acknowledged, ${traffic.refused.length} refused`,
    );
  },
);

test(
  "SIGTERM drains: what was acknowledged is there, sockets close with 1001, the exit code is 0",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    const client = new Client(server);
    const doc = await client.join("note", "drained");
    const closed = new Promise((resolve) =>
      client.client.socket.once("close", resolve),
    );
    const before = traffic.acknowledged.length;
    for (let i = 0; i < 50; i += 1) {
      doc.getText("body").insert(0, `${i} `);
      doc.commit();
    }
    await waitFor(
      "all 50 are acknowledged",
      () => traffic.acknowledged.length === before + 50,
    );
    const { code, signal } = await server.stop("SIGTERM");
    assert.deepEqual(
      { code, signal },
      { code: 0, signal: null },
      server.tail(),
    );
    assert.equal(await closed, 1001);
    await server.start();
    const row = await server.row("note", "drained");
    assert.equal(row.body, doc.getText("body").toString());
  },
);
