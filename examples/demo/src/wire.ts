// SPDX-License-Identifier: Apache-2.0
//
// What goes over the wire: a WebSocket that counts. Installed in place of window.WebSocket before the client opens its
// connection, so the client stays as published. Counts payload bytes; the WebSocket framing adds 2 to 14 per message.

import {
  CrdtType,
  MessageType,
  UpdateStatusCode,
  tryDecode,
} from "loro-protocol";
import type { ProtocolMessage } from "loro-protocol";

export interface Frame {
  readonly direction: "up" | "down";
  readonly kind: string;
  readonly room: string;
  readonly bytes: number;
}

export interface WireState {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  // Newest last.
  readonly frames: readonly Frame[];
  // Size of each document update that this page sent, newest last.
  readonly updateSizes: readonly number[];
  // Updates that the server has not acknowledged yet.
  readonly unacknowledged: number;
  readonly lastAckMs: number | null;
  readonly lastRefusal: string | null;
}

const framesKept = 60;
const updatesKept = 120;

const kindNames: Record<number, string> = {
  [MessageType.JoinRequest]: "join",
  [MessageType.JoinResponseOk]: "joined",
  [MessageType.JoinError]: "join error",
  [MessageType.DocUpdate]: "update",
  [MessageType.DocUpdateFragmentHeader]: "fragments",
  [MessageType.DocUpdateFragment]: "fragment",
  [MessageType.RoomError]: "room error",
  [MessageType.Leave]: "leave",
  [MessageType.Ack]: "ack",
};

export class Wire {
  #sentBytes = 0;
  #receivedBytes = 0;
  #frames: Frame[] = [];
  #updateSizes: number[] = [];
  #openBatches = new Map<string, number>();
  #lastAckMs: number | null = null;
  #lastRefusal: string | null = null;
  #listeners = new Set<() => void>();

  // Replaces window.WebSocket by one that reports to this object.
  install(): void {
    const report = (direction: "up" | "down", data: unknown) =>
      this.#record(direction, data);
    const closed = () => this.#forgetOpenBatches();
    window.WebSocket = class extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        this.addEventListener("message", (event: MessageEvent<unknown>) =>
          report("down", event.data),
        );
        this.addEventListener("close", closed);
      }

      override send(
        data:
          string | ArrayBufferLike | Blob | ArrayBufferView<ArrayBufferLike>,
      ): void {
        super.send(data as string | Blob | BufferSource);
        report("up", data);
      }
    };
  }

  get state(): WireState {
    return {
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
      frames: this.#frames,
      updateSizes: this.#updateSizes,
      unacknowledged: this.#openBatches.size,
      lastAckMs: this.#lastAckMs,
      lastRefusal: this.#lastRefusal,
    };
  }

  subscribe(listener: () => void): void {
    this.#listeners.add(listener);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  // Batches that were in flight when a connection ended are sent again, under new names, after the next join.
  #forgetOpenBatches(): void {
    this.#openBatches.clear();
    this.#changed();
  }

  #record(direction: "up" | "down", data: unknown): void {
    if (typeof data === "string") {
      this.#count(direction, {
        direction,
        kind: data,
        room: "",
        bytes: data.length,
      });
      return;
    }
    const bytes = toBytes(data);
    if (!bytes) return;
    const message = tryDecode(bytes);
    if (message) this.#follow(direction, message, bytes.length);
    const presence = message?.crdt === CrdtType.LoroEphemeralStore;
    const name = message ? (kindNames[message.type] ?? "?") : "?";
    const kind =
      presence && message.type === MessageType.DocUpdate ? "presence" : name;
    this.#count(direction, {
      direction,
      kind,
      room: message?.roomId ?? "",
      bytes: bytes.length,
    });
  }

  #count(direction: "up" | "down", frame: Frame): void {
    if (direction === "up") this.#sentBytes += frame.bytes;
    else this.#receivedBytes += frame.bytes;
    this.#frames = [...this.#frames.slice(1 - framesKept), frame];
    this.#changed();
  }

  #follow(
    direction: "up" | "down",
    message: ProtocolMessage,
    bytes: number,
  ): void {
    if (message.crdt !== CrdtType.Loro) return;
    if (direction === "up" && message.type === MessageType.DocUpdate) {
      this.#updateSizes = [...this.#updateSizes.slice(1 - updatesKept), bytes];
      this.#openBatches.set(message.batchId, performance.now());
    } else if (
      direction === "up" &&
      message.type === MessageType.DocUpdateFragmentHeader
    ) {
      this.#openBatches.set(message.batchId, performance.now());
    } else if (direction === "down" && message.type === MessageType.Ack) {
      const sentAt = this.#openBatches.get(message.refId);
      this.#openBatches.delete(message.refId);
      if (sentAt !== undefined) this.#lastAckMs = performance.now() - sentAt;
      this.#lastRefusal =
        message.status === UpdateStatusCode.Ok
          ? null
          : `status ${message.status}`;
    }
  }
}

function toBytes(data: unknown): Uint8Array | null {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return null;
}
