// SPDX-License-Identifier: Apache-2.0
//
// A gate between clients, or other sites, and a server: relays TCP connections while it is open, cuts and refuses them while it is
// closed. So a test can look at a restarted server before its clients come back and heal it.

import { connect, createServer } from "node:net";

export class Gate {
  #serverPort;
  #listener = createServer((client) => this.#relay(client));
  #sockets = new Set();
  #isOpen = true;

  // A gate in front of `server`, gone when the test ends. `port` says where the server is at the time.
  static async before(server, port = () => server.port) {
    const gate = new Gate();
    gate.#serverPort = port;
    await new Promise((resolve) =>
      gate.#listener.listen(0, "127.0.0.1", resolve),
    );
    server.beforeEnd(() => {
      gate.close();
      gate.#listener.close();
    });
    return gate;
  }

  get port() {
    return this.#listener.address().port;
  }

  get syncUrl() {
    return `ws://127.0.0.1:${this.port}/sync`;
  }

  open() {
    this.#isOpen = true;
  }

  close() {
    this.#isOpen = false;
    this.cut();
  }

  // Ends the connections; new ones are taken.
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  #relay(client) {
    if (!this.#isOpen) {
      client.destroy();
      return;
    }
    const upstream = connect(this.#serverPort(), "127.0.0.1");
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}
