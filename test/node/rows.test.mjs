// SPDX-License-Identifier: Apache-2.0
//
// Row frames with plain `ws` and loro-crdt: a snapshot, then only contiguous updates; both dialects on one row at once; a
// client that returns with its version gets only what it lacks; what cannot be done is answered.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LoroDoc, VersionVector } from "loro-crdt";
import {
  Client,
  expectedRow,
  plain,
  withoutEmpty,
} from "./lib/loro_client.mjs";
import {
  RowsClient,
  encodeFrame,
  pushFrame,
  snapshotFrame,
  updateFrame,
} from "./lib/rows_client.mjs";
import { startServer } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const sameVersion = (a, b) => a.version().compare(b.version()) === 0;
const versionOf = (base64) =>
  VersionVector.decode(new Uint8Array(Buffer.from(base64, "base64")));

async function post(server, path, body) {
  const response = await fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

const hex = (bytes) => Buffer.from(bytes).toString("hex");

test(
  "a snapshot, then 100 updates that import without a gap",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    const writer = await new Client(server).join("note", "n");
    writer.getText("body").insert(0, "before");
    writer.commit();
    await waitFor("the row exists", () => server.row("note", "n"));
    const rows = await RowsClient.connect(t, server);
    const doc = rows.subscribe("note", "n");
    await waitFor(
      "the snapshot",
      () => rows.frames(snapshotFrame).length === 1,
    );
    assert.equal(
      rows.received.find(({ type }) => type !== undefined).type,
      snapshotFrame,
    );
    for (let i = 0; i < 100; i += 1) {
      writer.getText("body").insert(i, "x");
      writer.getCounter("votes").increment(1);
      writer.commit();
      await waitFor(`update ${i + 1}`, () => sameVersion(doc, writer));
    }
    assert.deepEqual(plain(doc), plain(writer));
    assert.equal(rows.frames(snapshotFrame).length, 1);
    assert.equal(rows.frames(updateFrame).length, 100);
  },
);

test(
  "a burst of edits arrives complete and in order, however it is grouped",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    const writers = [new Client(server), new Client(server)];
    const docs = [
      await writers[0].join("note", "n"),
      await writers[1].join("note", "n"),
    ];
    const rows = await RowsClient.connect(t, server);
    const copy = rows.subscribe("note", "n");
    for (let i = 0; i < 160; i += 1) {
      const doc = docs[i % 2];
      doc.getText("body").insert(0, `${i} `);
      doc.commit();
    }
    await waitFor(
      "the copy is complete",
      () => sameVersion(copy, docs[0]) && sameVersion(copy, docs[1]),
    );
    assert.equal(rows.frames(snapshotFrame).length, 1);
  },
);

test(
  "both dialects write and read one row at once",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    const loro = await new Client(server).join("note", "both");
    const rows = await RowsClient.connect(t, server);
    const frames = rows.subscribe("note", "both");
    for (let i = 0; i < 30; i += 1) {
      loro.getText("body").insert(0, "L");
      loro.commit();
      const from = frames.version();
      frames.getText("body").insert(0, "F");
      frames.getList("tags").push(i);
      frames.commit();
      const answer = await rows.push(
        "note",
        "both",
        frames.export({ mode: "update", from }),
      );
      assert.equal(answer.type, "crdt-ack", JSON.stringify(answer));
      assert.ok(versionOf(answer.vv).toJSON().get(frames.peerIdStr) > 0);
    }
    await waitFor("both are equal", () => sameVersion(loro, frames));
    assert.deepEqual(plain(frames), plain(loro));
    assert.equal(loro.getText("body").length, 60);
    assert.deepEqual(
      withoutEmpty(await server.row("note", "both")),
      expectedRow("both", loro),
    );
  },
);

test(
  "a client that returns with its version gets only what it lacks",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    const writer = await new Client(server).join("page", "p");
    writer.getText("body").insert(0, "lorem ipsum ".repeat(4000));
    writer.commit();
    const first = await RowsClient.connect(t, server);
    const doc = first.subscribe("page", "p");
    await waitFor("the first copy", () => sameVersion(doc, writer));
    assert.ok(first.frames(snapshotFrame)[0].payload.length > 500);
    first.socket.terminate();

    writer.getText("body").insert(7, "!");
    writer.commit();
    await waitFor("the edit is on the server", async () =>
      (await server.row("page", "p")).body.includes("!"),
    );

    const second = await RowsClient.connect(t, server);
    second.subscribe("page", "p", { doc, vv: doc.version() });
    await waitFor("the copy caught up", () => sameVersion(doc, writer));
    const frames = second.received.filter(({ type }) => type !== undefined);
    assert.deepEqual(
      frames.map(({ type }) => type),
      [updateFrame],
    );
    assert.ok(
      frames[0].payload.length < 200,
      `${frames[0].payload.length} bytes for one character`,
    );

    // One that lacks nothing is sent no document at all, and then the next edit.
    const third = await RowsClient.connect(t, server);
    third.subscribe("page", "p", { doc, vv: doc.version() });
    writer.getText("body").insert(0, "?");
    writer.commit();
    await waitFor("the next edit", () => sameVersion(doc, writer));
    assert.equal(third.frames(snapshotFrame).length, 0);
    assert.equal(third.frames(updateFrame).length, 1);
  },
);

test("nothing comes after crdt-unsubscribe", { timeout: 60_000 }, async (t) => {
  const server = await startServer(t);
  const writer = await new Client(server).join("note", "n");
  const rows = await RowsClient.connect(t, server);
  const left = rows.subscribe("note", "n");
  const kept = rows.subscribe("note", "other");
  await waitFor(
    "both snapshots",
    () => rows.frames(snapshotFrame).length === 2,
  );
  rows.unsubscribe("note", "n");
  // The push to the other row comes back after the unsubscription was read.
  kept.getText("body").insert(0, "x");
  kept.commit();
  await rows.push("note", "other", kept.export({ mode: "update" }));
  writer.getText("body").insert(0, "not for you");
  writer.commit();
  await waitFor(
    "the edit is on the server",
    async () => (await server.row("note", "n"))?.body === "not for you",
  );
  kept.getText("body").insert(0, "y");
  kept.commit();
  await rows.push("note", "other", kept.export({ mode: "update" }));
  assert.equal(left.getText("body").toString(), "");
});

test(
  "an unknown table, key or message is answered, and the connection lives on",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    const rows = await RowsClient.connect(t, server);
    rows.send({ type: "crdt-subscribe", entity: "nothing", rowId: "x" });
    const unknown = await rows.error(
      "unknown table",
      ({ entity }) => entity === "nothing",
    );
    assert.equal(unknown.rowId, "x");
    assert.match(unknown.code, /^[a-z_]+$/);
    assert.ok(unknown.message.length > 0);
    rows.send({ type: "crdt-dance", entity: "note", rowId: "x" });
    await rows.error("unknown type", ({ message }) =>
      message.includes("crdt-dance"),
    );
    rows.socket.send("{not json");
    rows.send({ type: "crdt-subscribe", entity: "note" });
    rows.send({
      type: "crdt-subscribe",
      entity: "note",
      rowId: "x",
      vv: "@@@",
    });
    await waitFor("five errors", () => rows.texts("crdt-error").length >= 5);
    rows.socket.send(
      encodeFrame(
        pushFrame,
        "nothing",
        "x",
        Buffer.from([0, 0, 0, 9, 1, 2, 3]),
      ),
    );
    await rows.error("push to an unknown table", ({ pushId }) => pushId === 9);
    rows.socket.send(
      encodeFrame(pushFrame, "note", "x", Buffer.from([0, 0, 0, 10, 1, 2, 3])),
    );
    await rows.error("push of garbage", ({ pushId }) => pushId === 10);
    rows.subscribe("note", "x");
    await waitFor(
      "the connection still serves",
      () => rows.frames(snapshotFrame).length === 1,
    );
    assert.equal(await server.row("note", "x"), null);
  },
);

test(
  "a push whose dependencies are missing is refused with the server's version, and the resend is taken",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    const rows = await RowsClient.connect(t, server);
    const doc = new LoroDoc();
    doc.getText("body").insert(0, "one");
    doc.commit();
    const afterOne = doc.version();
    doc.getText("body").insert(3, " two");
    doc.commit();
    const tail = doc.export({ mode: "update", from: afterOne });

    const refusal = await rows.push("note", "gap", tail);
    assert.equal(refusal.type, "crdt-error");
    assert.equal(refusal.code, "missing_dependencies");
    assert.equal(versionOf(refusal.vv).length(), 0);
    assert.equal(await server.row("note", "gap"), null);

    const overHttp = await post(server, "/api/crdt/note/gap", {
      update: hex(tail),
    });
    assert.equal(overHttp.status, 409);
    assert.equal(overHttp.body.error.code, "missing_dependencies");

    const resend = await rows.push(
      "note",
      "gap",
      doc.export({ mode: "update", from: versionOf(refusal.vv) }),
    );
    assert.equal(resend.type, "crdt-ack", JSON.stringify(resend));
    assert.equal((await server.row("note", "gap")).body, "one two");
  },
);

test(
  "POST /api/crdt pushes an update, creates the row, and reaches subscribers",
  { timeout: 60_000 },
  async (t) => {
    const server = await startServer(t);
    const rows = await RowsClient.connect(t, server);
    const copy = rows.subscribe("note", "by http");
    await waitFor(
      "the snapshot of a row that is not there yet",
      () => rows.frames(snapshotFrame).length === 1,
    );
    const doc = new LoroDoc();
    doc.getMap("row").set("title", "hello");
    doc.getText("body").insert(0, "over HTTP");
    doc.commit();
    const path = `/api/crdt/note/${encodeURIComponent("by http")}`;
    const answer = await post(server, path, {
      update: hex(doc.export({ mode: "update" })),
    });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.equal(answer.body.ok, true);
    assert.equal(versionOf(answer.body.vv).compare(doc.version()), 0);
    await waitFor("the subscriber has it", () => sameVersion(copy, doc));
    assert.deepEqual(
      withoutEmpty(await server.row("note", "by http")),
      expectedRow("by http", doc),
    );

    const again = await post(server, path, {
      update: hex(doc.export({ mode: "update" })),
    });
    assert.equal(again.status, 200);
    for (const [where, body, status] of [
      [path, { update: "zz" }, 400],
      [path, { update: "00ff" }, 400],
      [path, {}, 400],
      [path, "not json", 400],
      [
        "/api/crdt/nothing/x",
        { update: hex(doc.export({ mode: "update" })) },
        404,
      ],
    ]) {
      const refused = await post(server, where, body);
      assert.equal(
        refused.status,
        status,
        `${where} ${JSON.stringify(body)}: ${JSON.stringify(refused.body)}`,
      );
      assert.match(refused.body.error.code, /^[a-z_]+$/);
    }
    assert.equal((await server.row("note", "by http")).body, "over HTTP");
  },
);
