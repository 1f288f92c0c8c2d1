// SPDX-License-Identifier: Apache-2.0
//
// A client of the row frames dialect, made of `ws` and loro-crdt alone.
//
//   binary: [type u8][length u16be][entity][length u16be][row id][payload]
//     0x10 snapshot, 0x11 update (from the server), 0x12 push [push id u32be][update] (to the server)
//   text: JSON; crdt-subscribe, crdt-unsubscribe (to the server), crdt-ack, crdt-synced, crdt-error (from it)

import { LoroDoc } from "loro-crdt";
import { WebSocket } from "ws";
import { waitFor } from "./wait.mjs";

export const snapshotFrame = 0x10;
export const updateFrame = 0x11;
export const pushFrame = 0x12;

export function encodeFrame(type, entity, rowId, payload) {
  const [table, key] = [Buffer.from(entity), Buffer.from(rowId)];
  const head = Buffer.alloc(5);
  head.writeUInt8(type, 0);
  head.writeUInt16BE(table.length, 1);
  head.writeUInt16BE(key.length, 3);
  return Buffer.concat([
    head.subarray(0, 3),
    table,
    head.subarray(3),
    key,
    payload,
  ]);
}

export function decodeFrame(bytes) {
  const tableEnd = 3 + bytes.readUInt16BE(1);
  const keyEnd = tableEnd + 2 + bytes.readUInt16BE(tableEnd);
  return {
    type: bytes.readUInt8(0),
    entity: bytes.toString("utf8", 3, tableEnd),
    rowId: bytes.toString("utf8", tableEnd + 2, keyEnd),
    payload: bytes.subarray(keyEnd),
  };
}

const base64 = (version) => Buffer.from(version.encode()).toString("base64");

export class RowsClient {
  socket;
  // Everything that came, in order: {type, entity, rowId, payload} and {text}.
  received = [];
  closed = null;
  #docs = new Map();
  #pushId = 0;

  // Connects, and closes when the test `t` ends.
  static async connect(t, server, { url = server.rowsUrl } = {}) {
    const client = new RowsClient(url);
    t.after(() => client.socket.terminate());
    await new Promise((resolve, reject) => {
      client.socket.once("open", resolve);
      client.socket.once("error", reject);
    });
    return client;
  }

  constructor(url) {
    this.socket = new WebSocket(url);
    this.socket.on("error", () => {});
    this.socket.on("close", (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    this.socket.on("message", (data, isBinary) => {
      if (!isBinary) {
        this.received.push({ text: JSON.parse(data.toString()) });
        return;
      }
      const frame = decodeFrame(data);
      this.received.push(frame);
      this.#docs.get(`${frame.entity}/${frame.rowId}`)?.(frame);
    });
  }

  // Subscribes a document to its row. What arrives is imported at once and must never wait for something missing.
  subscribe(entity, rowId, { doc = new LoroDoc(), vv } = {}) {
    this.#docs.set(`${entity}/${rowId}`, ({ payload }) => {
      const status = doc.import(payload);
      if (status.pending)
        throw new Error(
          `update of ${entity}/${rowId} has a gap: ${JSON.stringify([...status.pending])}`,
        );
    });
    this.send({
      type: "crdt-subscribe",
      entity,
      rowId,
      ...(vv ? { vv: base64(vv) } : {}),
    });
    return doc;
  }

  unsubscribe(entity, rowId) {
    this.send({ type: "crdt-unsubscribe", entity, rowId });
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  // Pushes an update over the socket; resolves to the answer, a crdt-ack or a crdt-error.
  async push(entity, rowId, update) {
    this.#pushId += 1;
    const id = this.#pushId;
    const head = Buffer.alloc(4);
    head.writeUInt32BE(id);
    this.socket.send(
      encodeFrame(pushFrame, entity, rowId, Buffer.concat([head, update])),
    );
    const answer = await waitFor(`answer to push ${id}`, () =>
      this.received.find(({ text }) => text?.pushId === id),
    );
    return answer.text;
  }

  frames(type) {
    return this.received.filter((entry) => entry.type === type);
  }

  texts(type) {
    return this.received
      .filter(({ text }) => text?.type === type)
      .map(({ text }) => text);
  }

  // The next crdt-error that matches; they stay in `received`.
  error(what, matches) {
    return waitFor(what, () => this.texts("crdt-error").find(matches));
  }
}
