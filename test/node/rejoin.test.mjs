// SPDX-License-Identifier: Apache-2.0
//
// What makes an unmodified client send again: an update that was lost on its way, and what is typed before the server
// has the edits it depends on (docs/protocol.md, "RoomError, and what makes a client send again").

import assert from "node:assert/strict";
import { test } from "node:test";
import { LoroDoc } from "loro-crdt";
import {
  MessageType,
  RoomErrorCode,
  UpdateStatusCode,
  tryDecode,
} from "loro-protocol";
import { Client, traffic } from "./lib/loro_client.mjs";
import { startServer } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const limit = { timeout: 60_000 };

function type(doc, text) {
  doc.getText("body").insert(doc.getText("body").length, text);
  doc.commit();
}

// The next update that the client sends does not arrive.
function loseNextUpdate(client) {
  const socket = client.client.socket;
  const send = socket.send;
  socket.send = function (data, ...rest) {
    const message =
      typeof data === "string" ? undefined : tryDecode(new Uint8Array(data));
    if (message?.type !== MessageType.DocUpdate)
      return send.call(this, data, ...rest);
    socket.send = send;
    return undefined;
  };
}

const waitForRow = (server, key, doc) =>
  waitFor("the row is what the client sees", async () => {
    const row = await server.row("note", key);
    return row?.body === doc.getText("body").toString();
  });

const refusalsOf = (room) =>
  traffic.refused.filter((refusal) => refusal.room === room);
const errorsOf = (room) =>
  traffic.errors.filter((error) => error.room === room);

test(
  "after a lost update the next one makes the client rejoin and send both",
  limit,
  async (t) => {
    const server = await startServer(t);
    const client = new Client(server);
    const doc = await client.join("note", "lost");
    type(doc, "one ");
    await waitForRow(server, "lost", doc);
    loseNextUpdate(client);
    type(doc, "two ");
    type(doc, "three ");
    await waitForRow(server, "lost", doc);
    assert.deepEqual(refusalsOf("note/lost"), [
      { room: "note/lost", status: UpdateStatusCode.InvalidUpdate },
    ]);
    assert.deepEqual(
      errorsOf("note/lost").map(({ code }) => code),
      [RoomErrorCode.RejoinSuggested],
    );
    type(doc, "four");
    await waitForRow(server, "lost", doc);
    assert.equal(errorsOf("note/lost").length, 1);
  },
);

test("it heals while somebody goes on typing", limit, async (t) => {
  const server = await startServer(t);
  const client = new Client(server);
  const doc = await client.join("note", "busy");
  loseNextUpdate(client);
  let healed = false;
  const typing = (async () => {
    while (!healed) {
      type(doc, "x");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  await waitFor("something is acknowledged", () =>
    traffic.acknowledged.some(({ room }) => room === "note/busy"),
  );
  healed = true;
  await typing;
  await waitForRow(server, "busy", doc);
  assert.ok(errorsOf("note/busy").length <= 2, "few rejoins");
});

test(
  "edits that were not committed when the room was joined are not refused",
  limit,
  async (t) => {
    const server = await startServer(t);
    const doc = new LoroDoc();
    type(doc, "offline ");
    // This one is committed by the export of the difference, and is sent before it.
    doc.getText("body").insert(8, "pending");
    await new Client(server).join("note", "pending", { doc });
    await waitForRow(server, "pending", doc);
    await waitFor(
      "both are acknowledged",
      () =>
        traffic.acknowledged.filter(({ room }) => room === "note/pending")
          .length === 2,
    );
    assert.deepEqual(refusalsOf("note/pending"), []);
    assert.deepEqual(errorsOf("note/pending"), []);
  },
);

test("typing through a reconnect is not refused", limit, async (t) => {
  const server = await startServer(t);
  const client = new Client(server);
  const doc = await client.join("note", "again");
  type(doc, "start ");
  await waitForRow(server, "again", doc);
  let stop = false;
  const typing = (async () => {
    while (!stop) {
      type(doc, "y");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  for (let i = 0; i < 5; i += 1) {
    const before = client.client.socket;
    client.dropConnection();
    await waitFor("a new connection", () => client.client.socket !== before);
    const acknowledged = traffic.acknowledged.length;
    await waitFor(
      "edits are taken again",
      () => traffic.acknowledged.length > acknowledged + 3,
    );
  }
  stop = true;
  await typing;
  await waitForRow(server, "again", doc);
  assert.deepEqual(errorsOf("note/again"), []);
  assert.deepEqual(
    refusalsOf("note/again").filter(
      ({ status }) => status !== UpdateStatusCode.PermissionDenied,
    ),
    [],
    "refused for what it depends on",
  );
});
