// SPDX-License-Identifier: Apache-2.0
//
// Unmodified loro-websocket clients in Node, and a view of what they send: the WebSocket class that they find is `ws`
// with an ear on the frames, which knows which updates the server has acknowledged.

import { webcrypto } from "node:crypto";
import { LoroAdaptor, LoroEphemeralAdaptor } from "loro-adaptors/loro";
import { LoroDoc } from "loro-crdt";
import {
  CrdtType,
  MessageType,
  UpdateStatusCode,
  tryDecode,
} from "loro-protocol";
import { LoroWebsocketClient } from "loro-websocket";
import { WebSocket } from "ws";
import { waitFor } from "./wait.mjs";

// What the clients of this process got acknowledged, and what was refused.
export class Traffic {
  // Updates that the server said it has on disk: {room, update}.
  acknowledged = [];
  // Acknowledgements that say no: {room, status}.
  refused = [];
  // Room errors and join errors: {room, type, code, message}.
  errors = [];
  sentBytes = 0;
  receivedBytes = 0;
}

export const traffic = new Traffic();

class ObservedWebSocket extends WebSocket {
  #batches = new Map();

  constructor(url, protocols) {
    super(url, protocols);
    this.on("message", (data, isBinary) => {
      const bytes = new Uint8Array(data);
      traffic.receivedBytes += bytes.length;
      if (isBinary) this.#received(tryDecode(bytes));
    });
  }

  send(data, ...rest) {
    super.send(data, ...rest);
    traffic.sentBytes += data.length ?? data.byteLength;
    if (typeof data !== "string") this.#sent(tryDecode(new Uint8Array(data)));
  }

  #sent(message) {
    if (message?.crdt !== CrdtType.Loro) return;
    const room = message.roomId;
    if (message.type === MessageType.DocUpdate) {
      this.#batches.set(message.batchId, { room, updates: message.updates });
    } else if (message.type === MessageType.DocUpdateFragmentHeader) {
      this.#batches.set(message.batchId, { room, fragments: [] });
    } else if (message.type === MessageType.DocUpdateFragment) {
      this.#batches.get(message.batchId)?.fragments.push(message.fragment);
    }
  }

  #received(message) {
    if (!message) return;
    const room = message.roomId;
    if (
      message.type === MessageType.RoomError ||
      message.type === MessageType.JoinError
    ) {
      traffic.errors.push({
        room,
        type: message.type,
        code: message.code,
        message: message.message,
      });
    }
    if (message.type !== MessageType.Ack || message.crdt !== CrdtType.Loro)
      return;
    const batch = this.#batches.get(message.refId);
    this.#batches.delete(message.refId);
    if (message.status !== UpdateStatusCode.Ok) {
      traffic.refused.push({ room, status: message.status });
    } else if (batch) {
      const updates = batch.updates ?? [
        new Uint8Array(Buffer.concat(batch.fragments)),
      ];
      for (const update of updates) traffic.acknowledged.push({ room, update });
    }
  }
}

// Each client listens to the process for going online and offline; a test has more than ten of them.
process.setMaxListeners(200);
globalThis.WebSocket = ObservedWebSocket;
globalThis.crypto ??= webcrypto;

// One client of the Loro protocol with the documents of the rows that it joined.
export class Client {
  name;
  client;
  #docs = new Map();
  #isOffline = false;

  // Closes when the test ends. Reconnects soon, so that tests of restarts do not wait.
  constructor(server, { name = "client", url = server.syncUrl } = {}) {
    this.name = name;
    this.client = new LoroWebsocketClient({
      url,
      disablePing: true,
      reconnect: { initialDelayMs: 20, maxDelayMs: 200 },
    });
    server.beforeEnd(() => this.#leave());
  }

  // Between two connections the client would leave a rejected promise behind, so it gets its next one first.
  async #leave() {
    try {
      if (!this.#isOffline) {
        await waitFor(
          "a client reconnects before it leaves",
          () => this.client.getStatus() === "connected",
        );
      }
    } finally {
      this.client.destroy();
    }
  }

  // Joins a row and waits until everything the server had is here.
  async join(table, key, { doc = new LoroDoc(), peer } = {}) {
    if (peer !== undefined) doc.setPeerId(peer);
    const adaptor = new LoroAdaptor(doc);
    const room = await this.client.join({
      roomId: `${table}/${key}`,
      crdtAdaptor: adaptor,
    });
    await room.waitForReachingServerVersion();
    this.#docs.set(`${table}/${key}`, { doc, room });
    return doc;
  }

  async joinPresence(table, key, store) {
    return this.client.join({
      roomId: `${table}/${key}`,
      crdtAdaptor: new LoroEphemeralAdaptor(store),
    });
  }

  room(table, key) {
    return this.#docs.get(`${table}/${key}`).room;
  }

  goOffline() {
    this.#isOffline = true;
    this.client.close();
  }

  async goOnline() {
    this.#isOffline = false;
    await this.client.connect({ resetBackoff: true });
  }

  // Cuts the connection as a broken network does; the client reconnects by itself.
  dropConnection() {
    this.client.socket.terminate();
  }
}

// A document as plain JSON with what is empty left out, so that a column nobody wrote compares equal to an absent one.
export function plain(doc) {
  return withoutEmpty(doc.toJSON());
}

export function withoutEmpty(value) {
  return Object.fromEntries(
    Object.entries(value).filter(
      ([, column]) =>
        column !== null &&
        column !== "" &&
        column !== 0 &&
        !(typeof column === "object" && Object.keys(column).length === 0),
    ),
  );
}

// What GET /v1/rows shows for a document, from the document: scalars out of `row`, one entry per other root.
export function expectedRow(key, doc) {
  const { row = {}, ...columns } = doc.toJSON();
  return { ...withoutEmpty({ ...row, ...columns }), id: key };
}
