// SPDX-License-Identifier: Apache-2.0
//
// Makes the golden bytes of the client protocols in this folder:
//   loro.json       messages of the Loro protocol, encoded by npm loro-protocol
//   ephemeral.json  presence, encoded by the EphemeralStore of npm loro-crdt
//   row_frame.json  row frames, written out here from their layout (no package has them)
//
// Run after `npm ci` in test/node:   node test/vectors/protocol/generate.mjs

import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../node/", import.meta.url));
const { encode, CrdtType, MessageType } = require("loro-protocol");
const { EphemeralStore, LoroDoc } = require("loro-crdt");

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const save = (name, value) =>
  writeFileSync(new URL(name, import.meta.url), JSON.stringify(value, null, 1) + "\n");

// Documents with known peers, so that versions are the same on every run.
const doc = new LoroDoc();
doc.setPeerId("7");
doc.getText("body").insert(0, "hello");
doc.commit();
const version = doc.version().encode();
const update = new Uint8Array([1, 2, 3, 4, 5]);

// --- loro.json ---

const room = { crdt: CrdtType.Loro, roomId: "note/n1" };
const batchId = "0x0102030405060708";
const long = "r".repeat(128);
const messages = [
  ["join_request", { ...room, type: MessageType.JoinRequest, auth: new Uint8Array(), version }],
  ["join_request_empty", { ...room, type: MessageType.JoinRequest, auth: new Uint8Array([9, 8]), version: new Uint8Array() }],
  ["join_request_long_room", { crdt: CrdtType.Loro, roomId: long, type: MessageType.JoinRequest, auth: new Uint8Array(), version: new Uint8Array([0]) }],
  ["join_response_ok", { ...room, type: MessageType.JoinResponseOk, permission: "write", version }],
  ["join_error_version_unknown", { ...room, type: MessageType.JoinError, code: 1, message: "what?", receiverVersion: version }],
  ["join_error_auth_failed", { ...room, type: MessageType.JoinError, code: 2, message: "no" }],
  ["join_error_app_error", { ...room, type: MessageType.JoinError, code: 0x7f, message: "no such table", appCode: "unknown_table" }],
  ["doc_update", { ...room, type: MessageType.DocUpdate, updates: [update], batchId }],
  ["doc_update_two", { ...room, type: MessageType.DocUpdate, updates: [update, new Uint8Array(200).fill(7)], batchId: "0xffffffffffffffff" }],
  ["doc_update_none", { ...room, type: MessageType.DocUpdate, updates: [], batchId }],
  ["fragment_header", { ...room, type: MessageType.DocUpdateFragmentHeader, batchId, fragmentCount: 3, totalSizeBytes: 700000 }],
  ["fragment", { ...room, type: MessageType.DocUpdateFragment, batchId, index: 2, fragment: update }],
  ["room_error_rejoin", { ...room, type: MessageType.RoomError, code: 1, message: "join again" }],
  ["room_error_evicted", { ...room, type: MessageType.RoomError, code: 2, message: "out" }],
  ["leave", { ...room, type: MessageType.Leave }],
  ["ack_ok", { ...room, type: MessageType.Ack, refId: batchId, status: 0 }],
  ["ack_fragment_timeout", { ...room, type: MessageType.Ack, refId: batchId, status: 7 }],
  ["presence", { crdt: CrdtType.LoroEphemeralStore, roomId: "lobby", type: MessageType.DocUpdate, updates: [update], batchId }],
  ["yjs_join", { crdt: CrdtType.Yjs, roomId: "n\u00e4h/\u{1F600}", type: MessageType.JoinRequest, auth: new Uint8Array(), version: new Uint8Array() }],
];
const plain = (value) =>
  value instanceof Uint8Array ? { hex: hex(value) } : Array.isArray(value) ? value.map(plain) : value;
save("loro.json", messages.map(([name, message]) => ({
  name,
  message: Object.fromEntries(Object.entries(message).map(([key, value]) => [key, plain(value)])),
  bytes: hex(encode(message)),
})));

// --- ephemeral.json ---

const values = [
  null, true, false, 1, -300, 1.5, "", "hi \u{1F600}", [], ["x", -3, [null]], {}, { k: "v", n: { d: 2.25 } },
  new Uint8Array([1, 2, 255]),
];
const stores = values.map((value) => {
  const store = new EphemeralStore(30000);
  store.set("key", value);
  const bytes = hex(store.encodeAll());
  store.destroy();
  return { keys: ["key"], deleted: [], bytes };
});
const both = new EphemeralStore(30000);
both.set("alice", { cursor: 4 });
both.set("bob", { cursor: 5 });
both.delete("bob");
stores.push({ keys: ["alice", "bob"], deleted: ["bob"], bytes: hex(both.encodeAll()) });
both.destroy();
stores.push({ keys: [], deleted: [], bytes: "00" });
save("ephemeral.json", stores);

// --- row_frame.json ---

const frame = (type, entity, row, payload) => {
  const name = (text) => {
    const bytes = Buffer.from(text, "utf8");
    const size = Buffer.alloc(2);
    size.writeUInt16BE(bytes.length);
    return Buffer.concat([size, bytes]);
  };
  return hex(Buffer.concat([Buffer.from([type]), name(entity), name(row), Buffer.from(payload)]));
};
save("row_frame.json", [
  { name: "snapshot", type: 0x10, entity: "Message", row: "msg_123", payload: "010203", bytes: frame(0x10, "Message", "msg_123", [1, 2, 3]) },
  { name: "update", type: 0x11, entity: "note", row: "a/b", payload: "", bytes: frame(0x11, "note", "a/b", []) },
  { name: "unicode", type: 0x11, entity: "n\u00e4h", row: "\u{1F600}", payload: "ff00", bytes: frame(0x11, "n\u00e4h", "\u{1F600}", [255, 0]) },
  { name: "push", type: 0x12, entity: "note", row: "n1", pushId: 0x01020304, payload: "aa", bytes: frame(0x12, "note", "n1", [1, 2, 3, 4, 0xaa]) },
]);
