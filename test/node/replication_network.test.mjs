// SPDX-License-Identifier: Apache-2.0
//
// Three sites in network namespaces, joined by cables with delay, jitter and loss that are cut and healed. Both halves
// go on meanwhile, and agree afterwards.

import assert from "node:assert/strict";
import { test } from "node:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, plain } from "./lib/loro_client.mjs";
import { Network, whyNoNamespaces } from "./lib/netns.mjs";
import { seedFromEnvironment } from "./lib/random.mjs";
import { converged, convergeMs } from "./lib/site.mjs";
import { waitFor } from "./lib/wait.mjs";

const skip = whyNoNamespaces();
const quality = { delayMs: 30, jitterMs: 5, lossPercent: 3 };

let serial = 0;
async function writeRows(sites, count) {
  for (let i = 0; i < count; i += 1) {
    for (const site of sites) {
      serial += 1;
      await site.transact([
        ["INSERT INTO tests VALUES (?, ?)", [serial, `by ${site.name}`]],
        [
          `INSERT INTO service (node, name, port) VALUES ('n', ?, ?)
           ON CONFLICT DO UPDATE SET port = excluded.port`,
          [`s${serial % 5}`, serial],
        ],
      ]);
    }
  }
}

const rowsBy = async (site, writer) =>
  (
    await site.select("SELECT count(*) FROM tests WHERE text = ?", [
      `by ${writer.name}`,
    ])
  )[0][0];

const linksOf = async (site) => (await site.status()).replication.links;

test(
  "three sites behind slow, lossy cables that are cut and healed",
  { timeout: 4 * convergeMs, skip },
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "merrow-netns-config-"));
    t.after(() => rm(directory, { recursive: true, force: true }));
    const token = join(directory, "token");
    await writeFile(
      token,
      "a secret between namespaces\n".replaceAll(" ", "-"),
    );
    // So that a cut is noticed soon.
    const config = join(directory, "merrow.toml");
    await writeFile(
      config,
      "[replication]\nkeepalive_ms = 500\nsilence_ms_max = 3000\nredial_ms_max = 1000\n",
    );
    const args = ["--config", config, "--peer-token-file", token];

    const seed = seedFromEnvironment(Math.floor(Date.now() / 1000));
    t.diagnostic(`seed ${seed}`);
    const network = new Network(t);
    const ab = await network.connect("a", "b", { ...quality, seed });
    const ac = await network.connect("a", "c", { ...quality, seed: seed + 1 });
    const bc = await network.connect("b", "c", { ...quality, seed: seed + 2 });
    const a = await network.startSite("a", { args });
    const b = await network.startSite("b", { args, peers: [ab.fromUrl] });
    const c = await network.startSite("c", {
      args,
      peers: [ac.fromUrl, bc.fromUrl],
    });
    const all = [a, b, c];

    await writeRows(all, 20);
    const left = await new Client(a).join("note", "n");
    const right = await new Client(c).join("note", "n");
    const type = (doc, text) => {
      doc.getText("body").insert(doc.getText("body").length, text);
      doc.commit();
    };
    const sameDocuments = () =>
      waitFor(
        "both clients have the same document",
        () => left.version().compare(right.version()) === 0,
        { timeoutMs: convergeMs },
      );
    type(left, "one ");
    type(right, "two ");
    await sameDocuments();
    await converged(all);

    // `a` is alone. Both halves take writes; the other half agrees among itself.
    ab.cut();
    ac.cut();
    const before = await rowsBy(b, a);
    await writeRows(all, 20);
    type(left, "alone ");
    type(right, "together ");
    await converged([b, c]);
    assert.equal(await rowsBy(b, a), before);
    assert.equal(await rowsBy(a, a), before + 20);
    await waitFor(
      "the cut is noticed",
      async () =>
        (await linksOf(a)).length === 0 && (await linksOf(b)).length === 1,
      { timeoutMs: convergeMs },
    );
    assert.ok(!right.getText("body").toString().includes("alone"));
    ab.heal();
    ac.heal();
    await converged(all);
    await sameDocuments();
    assert.deepEqual(plain(left), plain(right));

    // One cable is enough: from `a` to `c` by way of `b`.
    ac.cut();
    await writeRows([a, c], 20);
    type(left, "the long way ");
    await converged(all);
    await sameDocuments();
    ac.heal();

    // Cuts that are shorter than anybody notices.
    for (let i = 0; i < 5; i += 1) {
      bc.cut();
      await writeRows(all, 2);
      bc.heal();
      ab.cut();
      await writeRows(all, 2);
      ab.heal();
    }
    await converged(all);
    for (const site of all)
      for (const writer of all)
        assert.equal(
          await rowsBy(site, writer),
          await rowsBy(writer, writer),
          `rows of ${writer.name} at ${site.name}`,
        );
    assert.equal((await a.select("SELECT count(*) FROM tests"))[0][0], serial);
  },
);
