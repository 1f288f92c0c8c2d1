// SPDX-License-Identifier: Apache-2.0
//
// The inner half of the relay of netns.mjs: from a Unix socket, which namespaces share, to a port on the loopback of
// this namespace. Says a line when it listens.
//
// Usage: node netns_relay.mjs SOCKET PORT

import { connect, createServer } from "node:net";

const [path, port] = process.argv.slice(2);

createServer((client) => {
  const upstream = connect(Number(port), "127.0.0.1");
  for (const [socket, other] of [
    [client, upstream],
    [upstream, client],
  ]) {
    socket.on("error", () => {});
    socket.on("close", () => other.destroy());
    socket.pipe(other);
  }
}).listen(path, () => console.log("listening"));
