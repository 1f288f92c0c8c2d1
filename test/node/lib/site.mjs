// SPDX-License-Identifier: Apache-2.0
//
// A `merrow serve` that replicates: its peers, its transactions, its status, and the comparison of sites with each
// other.

import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Server } from "./server.mjs";
import { waitFor } from "./wait.mjs";

const peersAt = /^merrow: sites connect to ((wss?):\/\/(.+):(\d+))$/;

export const sitesSchema = fileURLToPath(
  new URL("../sites.sql", import.meta.url),
);
export const laterSchema = fileURLToPath(
  new URL("../sites_later.sql", import.meta.url),
);

// How long sites may take to agree; generous, since tests of several programs share a machine.
export const convergeMs = 180_000;

export class Site extends Server {
  name;
  // URLs that it dials from the next start on.
  peers;
  // Where it listens for sites; the port is picked by the first start. Null: nowhere.
  peerHost;
  peerUrl = null;
  extraArgs;
  #peerPort = 0;

  constructor(
    directory,
    { name, peers, peerHost, peerPort = 0, extraArgs, schema, prefix },
  ) {
    super(directory, {
      db: join(directory, "merrow.db"),
      schema,
      args: [],
      prefix,
    });
    this.name = name;
    this.peers = peers;
    this.peerHost = peerHost;
    this.extraArgs = extraArgs;
    this.#peerPort = peerPort;
  }

  async start() {
    this.args = [...this.extraArgs];
    for (const peer of this.peers)
      this.args.push("--peer", typeof peer === "string" ? peer : peer.peerUrl);
    if (this.peerHost === null) {
      await super.start();
      return;
    }
    this.args.push("--peer-listen", `${this.peerHost}:${this.#peerPort}`);
    const logged = this.log.length;
    await super.start();
    const match = await waitFor(`${this.name} says where sites connect`, () =>
      this.log
        .slice(logged)
        .map((line) => peersAt.exec(line))
        .find((found) => found),
    );
    this.peerUrl = match[1];
    this.#peerPort = Number(match[4]);
  }

  // Runs statements as one transaction: {rows_changed, version}. Throws if it is refused or the answer is lost.
  async transact(statements) {
    const response = await fetch(`${this.url}/v1/transactions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(statements),
    });
    const text = await response.text();
    if (!response.ok)
      throw new Error(`transaction: HTTP ${response.status} ${text}`);
    return JSON.parse(text);
  }

  async status() {
    const response = await fetch(`${this.url}/v1/status`);
    if (!response.ok) throw new Error(`status: HTTP ${response.status}`);
    return response.json();
  }

  // All rows of a query; an error of SQL is thrown.
  async select(sql, params = []) {
    const { rows, error, end } = await this.query(sql, params);
    if (error !== undefined || end === undefined)
      throw new Error(`${sql}: ${error ?? "the answer has no end"}`);
    return rows;
  }

  // All column rows of all tables, as one text.
  async dump(tables = ["service", "tests"]) {
    const parts = [];
    for (const table of tables) {
      const rows = await this.select(`SELECT * FROM ${table} ORDER BY 1, 2`);
      parts.push(
        `${table} ${rows.map((row) => JSON.stringify(row)).join("\n")}`,
      );
    }
    return parts.join("\n\n");
  }
}

// Starts a site that is gone when the test ends. `peers` are URLs or sites that run. `peerHost` null: it only dials.
export async function startSite(
  t,
  {
    name = "site",
    peers = [],
    peerHost = "127.0.0.1",
    peerPort = 0,
    schema = sitesSchema,
    args = [],
    prefix = [],
  } = {},
) {
  const directory = await mkdtemp(join(tmpdir(), "merrow-site-"));
  const site = new Site(directory, {
    name,
    peers,
    peerHost,
    peerPort,
    schema,
    extraArgs: args,
    prefix,
  });
  t.after(() => site.dispose());
  await site.start();
  return site;
}

// Starts `count` sites in a row, each dialing the one before.
export async function startChain(t, count, options = {}) {
  const sites = [];
  for (let i = 0; i < count; i += 1) {
    sites.push(
      await startSite(t, {
        name: `site ${i}`,
        peers: i === 0 ? [] : [sites[i - 1]],
        ...options,
      }),
    );
  }
  return sites;
}

export async function needsOf(site) {
  const { replication } = await site.status();
  return replication.needs;
}

// Waits until nobody needs anything and all column rows are equal; returns what they are.
export async function converged(
  sites,
  { tables, timeoutMs = convergeMs } = {},
) {
  try {
    return await waitFor(
      `${sites.length} sites converge`,
      async () => {
        for (const site of sites) {
          const needs = await needsOf(site);
          if (Object.keys(needs).length > 0)
            throw new Error(`${site.name} needs ${JSON.stringify(needs)}`);
        }
        const first = await sites[0].dump(tables);
        for (const site of sites.slice(1)) {
          if ((await site.dump(tables)) !== first)
            throw new Error(`${site.name} differs from ${sites[0].name}`);
        }
        return { dump: first };
      },
      { timeoutMs, everyMs: 100 },
    );
  } catch (error) {
    const details = [];
    for (const site of sites) {
      const status = await site.status().catch((failure) => failure.message);
      details.push(
        `--- ${site.name}\n${JSON.stringify(status)}\n${site.tail(10)}`,
      );
    }
    throw new Error(`${error.message}\n${details.join("\n")}`);
  }
}

// The link of `site` to `other` is up and both have compared what they have.
export function linked(site, other) {
  return waitFor(
    `${site.name} is linked to ${other.name}`,
    async () => {
      const peer = (await other.status()).site;
      const { links } = (await site.status()).replication;
      return links.some((link) => link.peer === peer && link.state === "open");
    },
    { timeoutMs: convergeMs },
  );
}

export function assertSameRows(dumps) {
  for (const dump of dumps) assert.equal(dump, dumps[0]);
}
