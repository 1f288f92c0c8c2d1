// SPDX-License-Identifier: Apache-2.0
//
// One connection to the server and the rooms that go over it. A room is a row, "table/key"; its document is joined
// when it is first asked for and stays joined. The client of loro-websocket reconnects and rejoins by itself; what is
// added here is an offline switch, and joins that were under way when a connection ended are asked for again.

import { ClientStatus, LoroWebsocketClient } from "loro-websocket";
import type { CrdtDocAdaptor } from "loro-adaptors";
import { LoroAdaptor, LoroEphemeralAdaptor } from "loro-adaptors/loro";
import { LoroDoc } from "loro-crdt";
import type { EphemeralStore } from "loro-crdt";

export type ConnectionState =
  "connected" | "connecting" | "disconnected" | "offline";

interface Join {
  readonly roomId: string;
  readonly adaptor: CrdtDocAdaptor;
  // Which connection carried the request; the answer can only come on that one.
  connection: number;
  done: boolean;
}

export class Session {
  #client: LoroWebsocketClient;
  #rows = new Map<string, LoroDoc>();
  #joins: Join[] = [];
  #connection = 0;
  #offline = false;
  #listeners = new Set<() => void>();
  #latencyMs: number | null = null;

  constructor(url: string) {
    this.#client = new LoroWebsocketClient({
      url,
      pingIntervalMs: 5_000,
      reconnect: { initialDelayMs: 250, maxDelayMs: 2_000 },
    });
    this.#client.onLatency((ms) => {
      this.#latencyMs = ms;
      this.#changed();
    });
    this.#client.onStatusChange((status) => {
      if (status === ClientStatus.Connected) {
        this.#connection += 1;
        queueMicrotask(() => this.#repeatLostJoins());
      }
      this.#changed();
    });
  }

  get state(): ConnectionState {
    return this.#offline ? "offline" : this.#client.getStatus();
  }

  get latencyMs(): number | null {
    return this.#latencyMs;
  }

  subscribe(listener: () => void): void {
    this.#listeners.add(listener);
  }

  // The document of a row, joined on first use.
  row(table: string, key: string): LoroDoc {
    const roomId = `${table}/${key}`;
    const known = this.#rows.get(roomId);
    if (known) return known;
    const doc = new LoroDoc();
    this.#rows.set(roomId, doc);
    this.#add(roomId, new LoroAdaptor(doc));
    return doc;
  }

  presence(table: string, key: string, store: EphemeralStore): void {
    this.#add(`${table}/${key}`, new LoroEphemeralAdaptor(store));
  }

  // Whether the row has been filled from the server at least once.
  isLoaded(table: string, key: string): boolean {
    return this.#joins.some(
      ({ roomId, adaptor, done }) =>
        done && roomId === `${table}/${key}` && adaptor instanceof LoroAdaptor,
    );
  }

  goOffline(): void {
    this.#offline = true;
    this.#client.close();
    this.#changed();
  }

  goOnline(): void {
    this.#offline = false;
    void this.#client.connect({ resetBackoff: true });
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #add(roomId: string, adaptor: CrdtDocAdaptor): void {
    const join: Join = { roomId, adaptor, connection: -1, done: false };
    this.#joins.push(join);
    if (!this.#offline) this.#send(join);
  }

  #send(join: Join): void {
    const connected = this.#client.getStatus() === ClientStatus.Connected;
    join.connection = connected ? this.#connection : this.#connection + 1;
    this.#client
      .join({ roomId: join.roomId, crdtAdaptor: join.adaptor })
      .then((room) => room.waitForReachingServerVersion())
      .then(() => {
        join.done = true;
        this.#changed();
      })
      .catch((error: unknown) => console.error(`join ${join.roomId}:`, error));
  }

  #repeatLostJoins(): void {
    for (const join of this.#joins) {
      if (join.done || join.connection === this.#connection) continue;
      this.#client.cleanupRoom(join.roomId, join.adaptor.crdtType);
      this.#send(join);
    }
  }
}
