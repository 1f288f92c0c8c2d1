// SPDX-License-Identifier: Apache-2.0
//
// A bare WebSocket on /sync whose every frame is in the test's hand, for what a well-behaved client never sends.

import { randomBytes } from "node:crypto";
import { CrdtType, MessageType, encode, tryDecode } from "loro-protocol";
import { WebSocket } from "ws";
import { waitFor } from "./wait.mjs";

export const newBatchId = () => `0x${randomBytes(8).toString("hex")}`;

export class ProtocolPeer {
  socket;
  // Decoded binary messages and text frames (as {text}), in order.
  received = [];
  closed = null;

  static async connect(t, server, url = server.syncUrl) {
    const peer = new ProtocolPeer(url);
    t.after(() => peer.socket.terminate());
    await new Promise((resolve, reject) => {
      peer.socket.once("open", resolve);
      peer.socket.once("error", reject);
    });
    return peer;
  }

  constructor(url) {
    this.socket = new WebSocket(url);
    this.socket.on("error", () => {});
    this.socket.on("close", (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    this.socket.on("message", (data, isBinary) => {
      if (!isBinary) this.received.push({ text: data.toString() });
      else
        this.received.push(
          tryDecode(new Uint8Array(data)) ?? { undecodable: data },
        );
    });
  }

  send(type, roomId, fields = {}, crdt = CrdtType.Loro) {
    this.socket.send(encode({ type, crdt, roomId, ...fields }));
  }

  sendRaw(bytes) {
    this.socket.send(bytes);
  }

  // Sends an update and resolves to the status of its Ack.
  async update(roomId, update, crdt = CrdtType.Loro) {
    const batchId = newBatchId();
    this.send(
      MessageType.DocUpdate,
      roomId,
      { updates: [update], batchId },
      crdt,
    );
    return (await this.ack(batchId)).status;
  }

  ack(batchId) {
    return this.next(
      `ack of ${batchId}`,
      ({ type, refId }) => type === MessageType.Ack && refId === batchId,
    );
  }

  // Joins and resolves to the JoinResponseOk or JoinError.
  async join(
    roomId,
    { version = new Uint8Array(), crdt = CrdtType.Loro } = {},
  ) {
    const from = this.received.length;
    this.send(
      MessageType.JoinRequest,
      roomId,
      { auth: new Uint8Array(), version },
      crdt,
    );
    return waitFor(`answer to joining ${roomId}`, () =>
      this.received
        .slice(from)
        .find(
          (message) =>
            message.roomId === roomId &&
            (message.type === MessageType.JoinResponseOk ||
              message.type === MessageType.JoinError),
        ),
    );
  }

  // The first message that matches, now or later.
  next(what, matches, options) {
    return waitFor(what, () => this.received.find(matches), options);
  }

  // Resolves when everything sent before was read: the answer to a ping comes after it.
  async settled() {
    const pongs = () =>
      this.received.filter(({ text }) => text === "pong").length;
    const before = pongs();
    this.socket.send("ping");
    await waitFor("pong", () => pongs() > before);
  }
}
