// SPDX-License-Identifier: Apache-2.0
//
// Replication between real servers on one machine: how long a change takes to other sites, and what it costs on the
// wire. `make bench-replication` writes its output to bench/results/replication.md.
//
// Delay of a column update: from sending the transaction to SQLite at the other site showing it, found by asking again
// and again, so it contains the commit at the origin, the commit at the other site and about one query. Delay of a
// keystroke: from the editor's commit to the event in an editor at the other site. Changes are made one after the
// other, each when all sites have the one before. Figures are medians of rounds.
//
// Bytes are what TCP carried over the links, both directions, acknowledgements of messages and handshakes of the
// protocol included (status: tcp_bytes_in, tcp_bytes_out).
//
// Usage: node bench/replication.mjs [--changes N] [--rounds N]

import { Agent, request } from "node:http";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Client } from "../test/node/lib/loro_client.mjs";
import { Random } from "../test/node/lib/random.mjs";
import { converged, linked, startSite } from "../test/node/lib/site.mjs";
import { waitFor } from "../test/node/lib/wait.mjs";

const { values: options } = parseArgs({
  options: {
    changes: { type: "string", default: "200" },
    rounds: { type: "string", default: "3" },
  },
});
const changes = Number(options.changes);
const rounds = Number(options.rounds);
const schema = fileURLToPath(new URL("replication.sql", import.meta.url));
const documentBytes = 1000;
const syncChanges = 1000;
const waitLong = { timeoutMs: 120_000, everyMs: 1 };

// The row of the model: a key of 14 characters, which packs into 17 bytes, and a title of 24.
const id = "0123456789abcd";
const title = (n) => `tomatoes, carrot, ${String(n).padStart(6, "0")}`;

// One framed broadcast of Corrosion v2 (FullV2) with one column of one row: envelope and table header 106, row 8,
// column 28, and the names, the packed key and the value.
const corrosionColumn = ({ table, key, column, value }) =>
  106 + table.length + 8 + key + 28 + column.length + 5 + value;

const median = (values) => quantile(values, 0.5);
function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
}

// Runs `body(startOne)` and takes down what it started.
async function withSites(body) {
  const cleanups = [];
  const t = { after: (action) => cleanups.push(action) };
  try {
    return await body((name, peers) => startSite(t, { name, peers, schema }));
  } finally {
    for (const action of cleanups.reverse()) await action();
  }
}

async function startChain(start, count) {
  const sites = [];
  for (let i = 0; i < count; i += 1)
    sites.push(await start(`site ${i}`, sites.slice(-1)));
  await allLinked(sites);
  return sites;
}

// Each dials the one before it and, most of them, a random earlier one.
async function startGraph(start, count) {
  const random = new Random(4);
  const sites = [];
  for (let i = 0; i < count; i += 1) {
    const peers = sites.slice(-1);
    if (i > 2 && random.chance(0.7)) peers.push(sites[random.below(i - 1)]);
    sites.push(await start(`site ${i}`, peers));
  }
  await allLinked(sites);
  return sites;
}

async function allLinked(sites) {
  for (const site of sites)
    for (const peer of site.peers) await linked(site, peer);
}

// Asks one site one question, over one connection.
class Asker {
  #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  #options;
  #body;

  constructor(site, sql) {
    this.#body = JSON.stringify([sql, []]);
    this.#options = {
      agent: this.#agent,
      host: "127.0.0.1",
      port: site.port,
      path: "/v1/queries",
      method: "POST",
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(this.#body),
      },
    };
  }

  ask() {
    return new Promise((resolve, reject) => {
      const sent = request(this.#options, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => (text += chunk));
        response.on("end", () => resolve(text));
      });
      sent.on("error", reject);
      sent.end(this.#body);
    });
  }

  close() {
    this.#agent.destroy();
  }
}

// Delays in ms of `count` updates of one column at the first site, to each of `others`. Adds to `commits` how long the
// origin took to answer.
async function updateDelays(origin, others, count, commits = []) {
  const askers = others.map(
    (site) => new Asker(site, `SELECT title FROM todos WHERE id = '${id}'`),
  );
  const delays = [];
  for (let i = 0; i < count; i += 1) {
    const value = `${title(i)}`;
    const start = performance.now();
    const seen = askers.map(async (asker) => {
      while (!(await asker.ask()).includes(value));
      delays.push(performance.now() - start);
    });
    await origin.transact([
      ["UPDATE todos SET title = ? WHERE id = ?", [value, id]],
    ]);
    commits.push(performance.now() - start);
    await Promise.all(seen);
  }
  for (const asker of askers) asker.close();
  return delays;
}

// Delays in ms of `count` keystrokes at the first editor, to each of the others.
async function keystrokeDelays(docs, count) {
  const [origin, ...others] = docs;
  const delays = [];
  for (let i = 0; i < count; i += 1) {
    const text = origin.getText("body");
    const length = text.length + 1;
    let start = 0;
    const seen = others.map(
      (doc) =>
        new Promise((resolve) => {
          const unsubscribe = doc.subscribe(() => {
            if (doc.getText("body").length < length) return;
            delays.push(performance.now() - start);
            unsubscribe();
            resolve();
          });
        }),
    );
    text.insert(Math.floor(length / 2), "k");
    start = performance.now();
    origin.commit();
    await Promise.all(seen);
  }
  return delays;
}

// A row and a document to change, everywhere. Returns the document at each site.
async function prepare(sites) {
  await sites[0].transact([
    [
      "INSERT OR REPLACE INTO todos VALUES (?, ?, 0, 'n', 'fly')",
      [id, title(0)],
    ],
  ]);
  const docs = [];
  for (const site of sites) docs.push(await new Client(site).join("note", id));
  docs[0].getText("body").insert(0, "x".repeat(documentBytes));
  docs[0].commit();
  await waitFor(
    "all have the document",
    () => docs.every((doc) => doc.getText("body").length === documentBytes),
    waitLong,
  );
  await converged(sites, { tables: ["todos"] });
  return docs;
}

// What TCP carried over all links, each counted once, when nothing is on the way any more.
async function bytesOnLinks(sites) {
  const total = async () => {
    let bytes = 0;
    for (const site of sites)
      for (const link of (await site.status()).replication.links)
        bytes += link.tcp_bytes_out;
    return bytes;
  };
  let before = -1;
  return waitFor(
    "the links are quiet",
    async () => {
      const now = await total();
      if (now === before) return now;
      before = now;
      return false;
    },
    { timeoutMs: 60_000, everyMs: 300 },
  );
}

async function spent(sites, action) {
  const before = await bytesOnLinks(sites);
  const result = await action();
  return { result, bytes: (await bytesOnLinks(sites)) - before };
}

async function measureDelays(start, shape, count) {
  const sites = shape.graph
    ? await startGraph(start, shape.sites)
    : await startChain(start, shape.sites);
  const docs = await prepare(sites);
  const others = shape.graph ? sites.slice(1) : sites.slice(-1);
  const editors = shape.graph ? docs : [docs[0], docs.at(-1)];
  await updateDelays(sites[0], others, 20); // warm
  await keystrokeDelays(editors, 20);
  const commits = [];
  const update = await spent(sites, () =>
    updateDelays(sites[0], others, count, commits),
  );
  const keystroke = await spent(sites, () => keystrokeDelays(editors, count));
  const links = sites.reduce((sum, site) => sum + site.peers.length, 0);
  const figures = ({ result, bytes }) => ({
    p50: quantile(result, 0.5),
    p99: quantile(result, 0.99),
    bytes: bytes / count,
  });
  return {
    links,
    commit: quantile(commits, 0.5),
    update: figures(update),
    keystroke: figures(keystroke),
  };
}

// What people type: words, in no order that compresses better than prose.
const words =
  `the of and to in is that it was for on are as with his they at be this from have or by one had not but what all were
when we there can an your which their said if do will each about how up out them then she many some so these would
other into has more her two like him see time could no make than first been its who now people my made over did down
only way find use may water long little very after called just where most know`.split(
    /\s+/,
  );
function prose(random, length) {
  let text = "";
  while (text.length < length) text += `${random.pick(words)} `;
  return text.slice(0, length);
}

// Many changes while the other site is away: bytes for each when it comes back, and how long that takes.
async function measureSync(start) {
  const [first, second] = await startChain(start, 2);
  const docs = await prepare([first, second]);
  const random = new Random(5);
  const figures = {};
  const absent = async (write) => {
    await bytesOnLinks([first, second]);
    await second.stop();
    await write();
    const from = performance.now();
    await second.start();
    await linked(second, first);
    await converged([first, second], { tables: ["todos"] });
    return from;
  };
  await absent(async () => {
    for (let i = 0; i < syncChanges; i += 1)
      await first.transact([
        [
          "INSERT INTO todos VALUES (?, ?, ?, 'n', 'fly')",
          [
            Buffer.from(random.bytes(7)).toString("hex"),
            prose(random, title(0).length),
            random.below(2 ** 31),
          ],
        ],
      ]);
  });
  figures.rows = (await bytesOnLinks([first, second])) / syncChanges;
  await absent(async () => {
    const typed = prose(random, syncChanges);
    for (const key of typed) {
      const text = docs[0].getText("body");
      text.insert(text.length, key);
      docs[0].commit();
      // One transaction each.
      const length = text.length;
      await waitFor(
        "the keystroke is stored",
        async () => (await first.row("note", id)).body.length === length,
        waitLong,
      );
    }
  });
  await waitFor(
    "the document is there",
    async () =>
      (await second.row("note", id)).body ===
      docs[0].getText("body").toString(),
    waitLong,
  );
  figures.keystrokes = (await bytesOnLinks([first, second])) / syncChanges;
  return figures;
}

const note = (text) => process.stderr.write(`${text}\n`);
const ms = (value) => `${value.toFixed(value < 10 ? 2 : 1)} ms`;
const bytes = (value) => `${value.toFixed(0)} B`;

const shapes = [
  { name: "2 sites, one hop", sites: 2 },
  { name: "chain of 4, three hops", sites: 4 },
  { name: "10 sites, sparse graph, to each", sites: 10, graph: true },
];
const loadBefore = loadavg()[0];
const rows = [];
for (const shape of shapes) {
  const measured = [];
  for (let round = 1; round <= rounds; round += 1) {
    note(`${shape.name}, round ${round} of ${rounds}`);
    measured.push(
      await withSites((start) =>
        measureDelays(start, shape, shape.graph ? changes / 2 : changes),
      ),
    );
  }
  for (const kind of ["update", "keystroke"])
    rows.push({
      shape,
      kind,
      links: measured[0].links,
      commit: median(measured.map((one) => one.commit)),
      p50: median(measured.map((one) => one[kind].p50)),
      p99: median(measured.map((one) => one[kind].p99)),
      bytes: median(measured.map((one) => one[kind].bytes)),
    });
}
const syncs = [];
for (let round = 1; round <= rounds; round += 1) {
  note(`sync, round ${round} of ${rounds}`);
  syncs.push(await withSites(measureSync));
}

const corrosion = {
  update: corrosionColumn({
    table: "todos",
    key: 17,
    column: "title",
    value: title(0).length,
  }),
  keystroke: corrosionColumn({
    table: "note",
    key: 17,
    column: "body",
    value: documentBytes,
  }),
};
const names = {
  update: "one column",
  keystroke: "one keystroke",
};

console.log(`# Replication benchmark

\`make bench-replication\` writes this page (bench/replication.mjs says what is measured). All sites, clients and the
measuring program share one machine with ${cpus().length} cores, on loopback; every change is committed with fsync at every site that
it passes. Medians of ${rounds} rounds of ${changes} changes (10 sites: ${changes / 2}), one after the other. Load average of the
machine before the start: ${loadBefore.toFixed(1)} (anything above 1 makes the delays longer; the bytes hardly depend on it).

| sites | change | delay p50 | p99 | bytes on all links | links | Corrosion v2, modelled, one message |
|---|---|---:|---:|---:|---:|---:|`);
for (const row of rows)
  console.log(
    `| ${row.shape.name} | ${names[row.kind]} | ${ms(row.p50)} | ${ms(row.p99)} | ${bytes(row.bytes)} | ${row.links} | ${bytes(corrosion[row.kind])} |`,
  );
console.log(`
One column: \`title\` (${title(0).length} characters) of a row with a packed key of 17 bytes, as in the model. One keystroke: a character
in the middle of a document of ${documentBytes} characters; Corrosion has no documents, so the model sends the text as a column,
whole. The bytes are those of all links together and contain the notices in the other direction and WebSocket frames;
the model has neither, and is of one message over one link. The first of two sites answers the transaction after
${ms(rows[0].commit)} (median): that much of the delay is its own commit.

Changes that were made one by one while the other site was away, and then pulled together:

| change (words as people type them, random keys) | bytes each on the link | Corrosion v2, modelled, each |
|---|---:|---:|
| new row, 4 columns (${syncChanges} transactions) | ${median(syncs.map((one) => one.rows)).toFixed(1)} B | 325 B |
| keystroke (${syncChanges} transactions) | ${median(syncs.map((one) => one.keystrokes)).toFixed(1)} B | ${bytes(corrosion.keystroke)} |

These contain the whole connection: handshake, comparison of versions, and notices.`);
process.exit(0);
