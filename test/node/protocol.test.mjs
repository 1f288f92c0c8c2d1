// SPDX-License-Identifier: Apache-2.0
//
// The Loro protocol on /sync, frame by frame: joins, acknowledgements and their codes, fragments both ways and their
// time limit, leaving, presence, keepalive, and what is malformed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { EphemeralStore, LoroDoc, VersionVector } from "loro-crdt";
import {
  CrdtType,
  JoinErrorCode,
  MAX_MESSAGE_SIZE,
  MessageType,
  RoomErrorCode,
  UpdateStatusCode,
} from "loro-protocol";
import { Client, traffic } from "./lib/loro_client.mjs";
import { ProtocolPeer, newBatchId } from "./lib/protocol_peer.mjs";
import { Random } from "./lib/random.mjs";
import { startServer } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const limit = { timeout: 60_000 };
const sameVersion = (a, b) => a.version().compare(b.version()) === 0;

function docWith(text) {
  const doc = new LoroDoc();
  doc.getText("body").insert(0, text);
  doc.commit();
  return doc;
}

test(
  "join answers with permission and version, and backfills what the client lacks",
  limit,
  async (t) => {
    const server = await startServer(t);
    const peer = await ProtocolPeer.connect(t, server);
    const empty = await peer.join("note/n");
    assert.equal(empty.type, MessageType.JoinResponseOk);
    assert.equal(empty.permission, "write");
    const doc = docWith("hello");
    assert.equal(
      await peer.update("note/n", doc.export({ mode: "update" })),
      UpdateStatusCode.Ok,
    );

    const second = await ProtocolPeer.connect(t, server);
    const joined = await second.join("note/n");
    assert.equal(
      VersionVector.decode(joined.version).compare(doc.version()),
      0,
    );
    const backfill = await second.next(
      "backfill",
      ({ type }) => type === MessageType.DocUpdate,
    );
    const copy = new LoroDoc();
    copy.importBatch(backfill.updates);
    assert.equal(copy.getText("body").toString(), "hello");

    const third = await ProtocolPeer.connect(t, server);
    await third.join("note/n", { version: doc.version().encode() });
    await third.settled();
    assert.equal(
      third.received.filter(({ type }) => type === MessageType.DocUpdate)
        .length,
      0,
    );
  },
);

test(
  "an update goes to the other members of the room, once, and not back to its sender",
  limit,
  async (t) => {
    const server = await startServer(t);
    const [sender, member, stranger] = [
      await ProtocolPeer.connect(t, server),
      await ProtocolPeer.connect(t, server),
      await ProtocolPeer.connect(t, server),
    ];
    await sender.join("note/n");
    await member.join("note/n");
    await stranger.join("note/other");
    assert.equal(
      await sender.update("note/n", docWith("x").export({ mode: "update" })),
      UpdateStatusCode.Ok,
    );
    await member.next(
      "the update",
      ({ type }) => type === MessageType.DocUpdate,
    );
    for (const peer of [sender, member, stranger]) await peer.settled();
    const updates = (peer) =>
      peer.received.filter(({ type }) => type === MessageType.DocUpdate).length;
    assert.deepEqual(
      [updates(sender), updates(member), updates(stranger)],
      [0, 1, 0],
    );
  },
);

test(
  "rooms that name no row are refused: unknown tables, malformed names, kinds that are not kept",
  limit,
  async (t) => {
    const server = await startServer(t);
    const peer = await ProtocolPeer.connect(t, server);
    for (const room of ["nothing/x", "note", "note/", "/x", ""]) {
      const answer = await peer.join(room);
      assert.equal(answer.type, MessageType.JoinError, room);
      assert.notEqual(answer.code, JoinErrorCode.VersionUnknown, room);
      assert.ok(answer.message.length > 0, room);
    }
    for (const crdt of [
      CrdtType.Yjs,
      CrdtType.YjsAwareness,
      CrdtType.Elo,
      CrdtType.Flock,
    ].filter(Boolean)) {
      const answer = await peer.join("note/n", { crdt });
      assert.equal(answer.type, MessageType.JoinError, crdt);
    }
    const garbled = await peer.join("note/n", {
      version: new Uint8Array([255, 255, 255]),
    });
    assert.equal(garbled.type, MessageType.JoinError);
    assert.equal(garbled.code, JoinErrorCode.VersionUnknown);
    const fine = await peer.join("note/n");
    assert.equal(fine.type, MessageType.JoinResponseOk);
    assert.deepEqual((await server.query("SELECT count(*) FROM note")).rows, [
      [0],
    ]);
  },
);

test(
  "an update that does not decode, or to a room that was not joined, is refused",
  limit,
  async (t) => {
    const server = await startServer(t);
    const peer = await ProtocolPeer.connect(t, server);
    const doc = docWith("x");
    const update = doc.export({ mode: "update" });
    assert.notEqual(await peer.update("note/n", update), UpdateStatusCode.Ok);
    await peer.join("note/n");
    assert.equal(
      await peer.update("note/n", new Uint8Array([1, 2, 3])),
      UpdateStatusCode.InvalidUpdate,
    );
    const flipped = update.slice();
    flipped[flipped.length - 2] ^= 0x40;
    assert.equal(
      await peer.update("note/n", flipped),
      UpdateStatusCode.InvalidUpdate,
    );
    assert.equal(await server.row("note", "n"), null);
    assert.equal(await peer.update("note/n", update), UpdateStatusCode.Ok);
  },
);

test(
  "an update whose dependencies are missing is never acknowledged; the client is told to come again",
  limit,
  async (t) => {
    const server = await startServer(t);
    const peer = await ProtocolPeer.connect(t, server);
    await peer.join("note/n");
    const doc = docWith("one");
    const middle = doc.version();
    doc.getText("body").insert(3, " two");
    doc.commit();
    const batchId = newBatchId();
    const tail = doc.export({ mode: "update", from: middle });
    peer.send(MessageType.DocUpdate, "note/n", { updates: [tail], batchId });
    const error = await peer.next(
      "room error",
      ({ type }) => type === MessageType.RoomError,
      { timeoutMs: 30_000 },
    );
    assert.equal(error.code, RoomErrorCode.RejoinSuggested);
    const good = peer.received.filter(
      ({ type, refId, status }) =>
        type === MessageType.Ack &&
        refId === batchId &&
        status === UpdateStatusCode.Ok,
    );
    assert.equal(good.length, 0);
    assert.equal(await server.row("note", "n"), null);
    const again = await peer.join("note/n");
    const from =
      again.version.length > 0
        ? VersionVector.decode(again.version)
        : undefined;
    assert.equal(
      await peer.update("note/n", doc.export({ mode: "update", from })),
      UpdateStatusCode.Ok,
    );
    assert.equal((await server.row("note", "n")).body, "one two");
  },
);

test(
  "updates of more than 256 KiB travel in fragments, both ways",
  limit,
  async (t) => {
    const server = await startServer(t);
    const random = new Random(5);
    const text = Array.from({ length: 700_000 }, () =>
      String.fromCharCode(97 + random.below(26)),
    ).join("");
    const writer = new Client(server, { name: "writer" });
    const doc = await writer.join("page", "big");
    const reader = new Client(server, { name: "reader" });
    const copy = await reader.join("page", "big");
    doc.getText("body").insert(0, text);
    doc.commit();
    assert.ok(doc.export({ mode: "update" }).length > 2 * MAX_MESSAGE_SIZE);
    await waitFor("the member has it", () => sameVersion(doc, copy));
    const late = await new Client(server, { name: "late" }).join("page", "big");
    assert.equal(late.getText("body").toString(), text);
    assert.deepEqual(traffic.refused, []);

    const raw = await ProtocolPeer.connect(t, server);
    const sizes = [];
    raw.socket.on("message", (data) => sizes.push(data.length));
    await raw.join("page/big");
    await raw.next(
      "a fragment header",
      ({ type }) => type === MessageType.DocUpdateFragmentHeader,
    );
    const header = raw.received.find(
      ({ type }) => type === MessageType.DocUpdateFragmentHeader,
    );
    const fragments = () =>
      raw.received.filter(({ type }) => type === MessageType.DocUpdateFragment);
    await waitFor(
      "all fragments",
      () => fragments().length === header.fragmentCount,
    );
    assert.ok(Math.max(...sizes) <= MAX_MESSAGE_SIZE);
    const blob = Buffer.concat(
      fragments()
        .sort((a, b) => a.index - b.index)
        .map(({ fragment }) => fragment),
    );
    assert.equal(blob.length, header.totalSizeBytes);
    const assembled = new LoroDoc();
    assembled.import(blob);
    assert.equal(assembled.getText("body").toString(), text);
  },
);

test(
  "fragments may come in any order; a batch that stays incomplete is refused after its time",
  limit,
  async (t) => {
    const server = await startServer(t);
    const peer = await ProtocolPeer.connect(t, server);
    await peer.join("page/p");
    const update = docWith("abcdefghij".repeat(400)).export({ mode: "update" });
    const pieces = [];
    for (let at = 0; at < update.length; at += 1000)
      pieces.push(update.slice(at, at + 1000));
    const send = (batchId, indices) => {
      const header = {
        batchId,
        fragmentCount: pieces.length,
        totalSizeBytes: update.length,
      };
      peer.send(MessageType.DocUpdateFragmentHeader, "page/p", header);
      for (const index of indices) {
        peer.send(MessageType.DocUpdateFragment, "page/p", {
          batchId,
          index,
          fragment: pieces[index],
        });
      }
    };
    const incomplete = newBatchId();
    send(
      incomplete,
      [...pieces.keys()].filter((index) => index !== 1),
    );
    const complete = newBatchId();
    send(complete, [...pieces.keys()].reverse());
    assert.equal((await peer.ack(complete)).status, UpdateStatusCode.Ok);
    assert.equal((await server.row("page", "p")).body.length, 4000);
    const late = await peer.next(
      "ack",
      ({ type, refId }) => type === MessageType.Ack && refId === incomplete,
      { timeoutMs: 20_000 },
    );
    assert.equal(late.status, UpdateStatusCode.FragmentTimeout);

    // A published client does not resend by itself, so it is told to come again.
    const error = await peer.next(
      "room error",
      ({ type }) => type === MessageType.RoomError,
    );
    assert.equal(error.code, RoomErrorCode.RejoinSuggested);
    await peer.join("page/p");

    // A batch that promises more than is allowed is refused at its header.
    const greedy = newBatchId();
    const header = {
      batchId: greedy,
      fragmentCount: 2,
      totalSizeBytes: 2 ** 31,
    };
    peer.send(MessageType.DocUpdateFragmentHeader, "page/p", header);
    assert.equal(
      (await peer.ack(greedy)).status,
      UpdateStatusCode.PayloadTooLarge,
    );
  },
);

test("nothing comes from a room after Leave", limit, async (t) => {
  const server = await startServer(t);
  const [writer, leaver] = [
    await ProtocolPeer.connect(t, server),
    await ProtocolPeer.connect(t, server),
  ];
  await writer.join("note/n");
  await leaver.join("note/n");
  leaver.send(MessageType.Leave, "note/n");
  await leaver.settled();
  assert.equal(
    await writer.update("note/n", docWith("x").export({ mode: "update" })),
    UpdateStatusCode.Ok,
  );
  await leaver.settled();
  assert.equal(
    leaver.received.filter(({ type }) => type === MessageType.DocUpdate).length,
    0,
  );
});

test(
  "presence is relayed to the room, shown to newcomers, and not kept",
  limit,
  async (t) => {
    const server = await startServer(t);
    const stores = [new EphemeralStore(30_000), new EphemeralStore(30_000)];
    t.after(() => stores.forEach((store) => store.destroy()));
    const clients = [new Client(server), new Client(server)];
    await clients[0].joinPresence("note", "n", stores[0]);
    await clients[1].joinPresence("note", "n", stores[1]);
    stores[0].set("ana", { name: "Ana", at: 3 });
    await waitFor("ben sees ana", () => stores[1].get("ana")?.at === 3);
    stores[1].set("ben", { name: "Ben", at: 7 });
    await waitFor("ana sees ben", () => stores[0].get("ben")?.name === "Ben");
    stores[0].set("ana", { name: "Ana", at: 4 });
    await waitFor("ben sees ana move", () => stores[1].get("ana")?.at === 4);
    stores[0].delete("ana");
    await waitFor("ben sees ana go", () => stores[1].get("ana") === undefined);

    const third = new EphemeralStore(30_000);
    t.after(() => third.destroy());
    await new Client(server).joinPresence("note", "n", third);
    await waitFor("a newcomer sees ben", () => third.get("ben")?.at === 7);

    const elsewhere = new EphemeralStore(30_000);
    t.after(() => elsewhere.destroy());
    const other = new Client(server);
    await other.joinPresence("note", "other", elsewhere);
    stores[1].set("ben", { name: "Ben", at: 8 });
    await waitFor(
      "the newcomer sees ben move",
      () => third.get("ben")?.at === 8,
    );
    assert.equal(elsewhere.get("ben"), undefined);
    assert.equal(await server.row("note", "n"), null);
  },
);

test("text ping is answered with pong", limit, async (t) => {
  const server = await startServer(t);
  const peer = await ProtocolPeer.connect(t, server);
  await peer.settled();
  const client = new Client(server);
  await client.client.waitConnected();
  await client.client.ping(5000);
  assert.ok(client.client.getLatency() >= 0);
});

test(
  "frames that are no messages do not disturb anyone else",
  limit,
  async (t) => {
    const server = await startServer(t);
    const client = new Client(server);
    const doc = await client.join("note", "n");
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from("%LO"),
      Buffer.from("%LOR"),
      Buffer.from("XXXX\u0004note\u0003"),
      Buffer.from("%LOR\u0006note/n\u0063"),
      Buffer.concat([
        Buffer.from("%LOR"),
        Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7f]),
      ]),
      Buffer.concat([
        Buffer.from("%LOR\u0006note/n\u0003"),
        Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]),
      ]),
      Buffer.alloc(MAX_MESSAGE_SIZE + 1, 1),
    ]) {
      const peer = await ProtocolPeer.connect(t, server);
      peer.sendRaw(bytes);
      await waitFor(
        `${bytes.subarray(0, 12).toString("hex")} is answered or ends the connection`,
        async () => {
          if (peer.closed) return true;
          if (peer.received.length > 0) return true;
          peer.socket.send("ping");
          return false;
        },
      );
      peer.socket.terminate();
    }
    doc.getText("body").insert(0, "still here");
    doc.commit();
    await waitFor(
      "the server still serves",
      async () => (await server.row("note", "n"))?.body === "still here",
    );
  },
);
