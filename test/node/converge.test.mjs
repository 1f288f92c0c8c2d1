// SPDX-License-Identifier: Apache-2.0
//
// Unmodified loro-websocket clients edit one row at once, one of them offline in between; every document, the row that
// HTTP shows and a client that comes later are equal.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LoroMap, LoroText } from "loro-crdt";
import {
  Client,
  expectedRow,
  plain,
  traffic,
  withoutEmpty,
} from "./lib/loro_client.mjs";
import { Random, seedFromEnvironment } from "./lib/random.mjs";
import { startServer } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const sameVersion = (a, b) => a.version().compare(b.version()) === 0;

async function waitForEqual(docs) {
  await waitFor("all documents have the same version", () =>
    docs.every((doc) => sameVersion(doc, docs[0])),
  );
  for (const doc of docs) assert.deepEqual(plain(doc), plain(docs[0]));
}

// A handful of edits of every kind of column, as the users of one row make them.
function editSomething(doc, random) {
  const body = doc.getText("body");
  const tags = doc.getList("tags");
  const props = doc.getMap("props");
  switch (random.below(9)) {
    case 0:
    case 1:
      body.insert(
        random.below(body.length + 1),
        random.pick(["hello ", "é", "日本", "x", "\n", "quick fox "]),
      );
      break;
    case 2:
      if (body.length > 4)
        body.delete(random.below(body.length - 3), random.between(1, 3));
      break;
    case 3:
      tags.insert(
        random.below(tags.length + 1),
        random.pick(["red", "green", 7, null, { deep: [1, { x: 2.5 }] }]),
      );
      break;
    case 4:
      if (tags.length > 0) tags.delete(random.below(tags.length), 1);
      break;
    case 5:
      doc.getCounter("votes").increment(random.pick([1, -1, 0.5]));
      break;
    case 6:
      props.set(
        random.pick(["colour", "size", "ключ"]),
        random.pick([1, "a", true, [1, 2], { k: null }]),
      );
      break;
    case 7:
      doc.getMap("row").set(random.pick(["title", "stars"]), random.below(100));
      break;
    default: {
      const nested = props.setContainer(
        random.pick(["nested", "other"]),
        new LoroMap(),
      );
      nested.setContainer("text", new LoroText()).insert(0, "inside");
    }
  }
  doc.commit();
}

test(
  "three clients, one of them offline for a while, converge with HTTP and a newcomer",
  { timeout: 120_000 },
  async (t) => {
    const server = await startServer(t);
    const seed = seedFromEnvironment(20_260);
    t.diagnostic(`seed ${seed}`);
    const random = new Random(seed);
    const clients = ["ana", "ben", "cleo"].map(
      (name) => new Client(server, { name }),
    );
    const docs = await Promise.all(
      clients.map((client) => client.join("note", "n1")),
    );

    for (let round = 0; round < 60; round += 1) {
      for (const doc of docs) editSomething(doc, random);
      if (round % 10 === 9) await waitForEqual(docs);
    }

    clients[2].goOffline();
    for (let round = 0; round < 60; round += 1)
      for (const doc of docs) editSomething(doc, random);
    await waitForEqual(docs.slice(0, 2));
    assert.ok(
      !sameVersion(docs[2], docs[0]),
      "the offline client is on its own",
    );
    await clients[2].goOnline();
    await waitForEqual(docs);

    const row = await waitFor("the row shows everything", async () => {
      const shown = await server.row("note", "n1");
      return shown?.body === docs[0].getText("body").toString() && shown;
    });
    assert.deepEqual(withoutEmpty(row), expectedRow("n1", docs[0]));

    const newcomer = await new Client(server, { name: "newcomer" }).join(
      "note",
      "n1",
    );
    await waitForEqual([newcomer, ...docs]);
    assert.deepEqual(traffic.refused, []);
  },
);

test(
  "concurrent first edits of every column of a new row all survive",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    const clients = [1, 2, 3].map(
      (n) => new Client(server, { name: `client ${n}` }),
    );
    const docs = await Promise.all(
      clients.map((client) => client.join("note", "fresh")),
    );
    docs.forEach((doc, n) => {
      doc.getText("body").insert(0, `[${n}]`);
      doc.getList("tags").push(n);
      doc.getMap("props").set(`key${n}`, n);
      doc.getCounter("votes").increment(1);
      doc.getMap("row").set("title", `by ${n}`);
      doc.commit();
    });
    await waitForEqual(docs);
    const { body, tags, props, votes } = docs[0].toJSON();
    for (const n of [0, 1, 2]) assert.ok(body.includes(`[${n}]`), body);
    assert.deepEqual([...tags].sort(), [0, 1, 2]);
    assert.deepEqual(props, { key0: 0, key1: 1, key2: 2 });
    assert.equal(votes, 3);
  },
);

test(
  "a client whose connection breaks reconnects, rejoins and loses nothing",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    const [steady, shaky] = ["steady", "shaky"].map(
      (name) => new Client(server, { name }),
    );
    const docs = [
      await steady.join("note", "n"),
      await shaky.join("note", "n"),
    ];
    for (let round = 0; round < 5; round += 1) {
      docs[1].getText("body").insert(0, `${round}`);
      docs[1].commit();
      shaky.dropConnection();
      docs[0].getText("body").insert(0, "s");
      docs[0].commit();
      docs[1].getText("body").insert(0, "o");
      docs[1].commit();
      await waitForEqual(docs);
    }
    assert.equal(docs[0].getText("body").length, 15);
  },
);

test(
  "a client comes back to what changed while it was away, and gets only that",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    const writer = new Client(server, { name: "writer" });
    const doc = await writer.join("page", "long");
    doc.getText("body").insert(0, "lorem ipsum ".repeat(2000));
    doc.commit();
    const reader = new Client(server, { name: "reader" });
    const copy = await reader.join("page", "long");
    await waitForEqual([doc, copy]);
    reader.goOffline();
    doc.getText("body").insert(5, "!");
    doc.commit();
    await waitFor(
      "the edit is acknowledged",
      () => traffic.acknowledged.at(-1)?.update.length < 300,
    );
    const before = traffic.receivedBytes;
    await reader.goOnline();
    await waitForEqual([doc, copy]);
    assert.ok(
      traffic.receivedBytes - before < 600,
      `${traffic.receivedBytes - before} bytes for one character`,
    );
  },
);
