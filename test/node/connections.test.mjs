// SPDX-License-Identifier: Apache-2.0
//
// A system that allows few open files: clients get as many connections as leave room for the database and for sites.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { converged, linked, startSite } from "./lib/site.mjs";
import { waitFor } from "./lib/wait.mjs";

const limited = (files) => ["sh", "-c", `ulimit -n ${files}; exec "$@"`, "sh"];

test("clients that hold all connections keep no site away", async (t) => {
  const site = await startSite(t, { name: "small", prefix: limited(200) });
  const sockets = [];
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  const closed = new Set();
  for (let i = 0; i < 300; i += 1) {
    const socket = connect(site.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.on("close", () => closed.add(socket));
    socket.resume();
    sockets.push(socket);
  }
  await waitFor("some clients are refused", () => closed.size >= 150);
  assert.match(site.tail(), /connections_max/);

  // A site comes in, and one is dialed.
  const other = await startSite(t, { name: "other", peers: [site] });
  await waitFor("they are linked", async () => {
    const { links } = (await other.status()).replication;
    return links.some(({ state }) => state === "open");
  });
  await other.transact([["INSERT INTO tests VALUES (1, 'there')"]]);
  sockets.forEach((socket) => socket.destroy());
  await waitFor("there is room again", () => site.status());
  await linked(site, other);
  await converged([site, other]);
});
