// SPDX-License-Identifier: Apache-2.0
//
// New tokens and certificates for sites that run: SIGHUP at one site after the other, links that stand are not cut, and
// at no time is a site refused that has to dial again. What is broken is told, and the old ones go on.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { merrowBinary } from "./lib/binary.mjs";
import { Authority, tlsArgs } from "./lib/certificates.mjs";
import { Gate } from "./lib/gate.mjs";
import { converged, convergeMs, startSite } from "./lib/site.mjs";
import { waitFor } from "./lib/wait.mjs";

const timeout = 3 * convergeMs;

async function directoryFor(t) {
  const directory = await mkdtemp(join(tmpdir(), "merrow-secrets-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

// Three sites in a row, each dialing the one before through a gate, again and again without long pauses. `argsOf(i)` are
// the flags of each.
async function startGatedChain(t, directory, scheme, argsOf) {
  const config = join(directory, "merrow.toml");
  await writeFile(
    config,
    "replication = { redial_ms_min = 20, redial_ms_max = 100 }\n",
  );
  const sites = [];
  const gates = [];
  for (let i = 0; i < 3; i += 1) {
    const peers = gates.map((gate) => `${scheme}://127.0.0.1:${gate.port}`);
    const site = await startSite(t, {
      name: `site ${i}`,
      peers: peers.slice(-1),
      args: ["--config", config, ...argsOf(i)],
    });
    sites.push(site);
    if (i < 2)
      gates.push(await Gate.before(site, () => new URL(site.peerUrl).port));
  }
  return { sites, gates };
}

async function replicationOf(site) {
  return (await site.status()).replication;
}

const openLinks = async (site) =>
  (await replicationOf(site)).links.filter(({ state }) => state === "open");

// Both links of the chain stand.
const chainStands = (sites) =>
  waitFor(
    "the links of the chain",
    async () => {
      const counts = await Promise.all(
        sites.map(async (site) => (await openLinks(site)).length),
      );
      assert.deepEqual(counts, [1, 2, 1]);
      return true;
    },
    { timeoutMs: convergeMs },
  );

// SIGHUP; resolves when the site has read its files again, or has failed to.
async function reload(site, counter = "reloads") {
  const before = (await replicationOf(site)).secrets[counter];
  process.kill(site.pid, "SIGHUP");
  await waitFor(
    `${site.name} counts ${counter}`,
    async () => (await replicationOf(site)).secrets[counter] === before + 1,
  );
}

// Nobody was refused, however often the gates were cut.
async function nobodyRefused(sites) {
  for (const site of sites)
    assert.equal(
      await site.metric("merrow_replication_connections_refused_total"),
      0,
      site.tail(),
    );
}

// One site after the other, `change(i)` puts new files in place and the site reads them. Links stand all the while, and
// after each change they can be made anew.
async function change({ sites, gates }, changeFiles) {
  for (const [i, site] of sites.entries()) {
    const before = await Promise.all(sites.map(openLinks));
    await changeFiles(i);
    await reload(site);
    const after = await Promise.all(sites.map(openLinks));
    assert.deepEqual(
      after.map((links) => links.map(({ id }) => id)),
      before.map((links) => links.map(({ id }) => id)),
      "a link was cut",
    );
    for (const gate of gates) gate.cut();
    for (const other of sites)
      await waitFor(`${other.name} sees the cut`, async () => {
        const old = new Set(
          before.flat().map(({ id, address }) => `${id} ${address}`),
        );
        return (await openLinks(other)).every(
          ({ id, address }) => !old.has(`${id} ${address}`),
        );
      });
    await chainStands(sites);
    await nobodyRefused(sites);
  }
}

test(
  "a token is changed at three sites that run, in three rounds",
  { timeout },
  async (t) => {
    const directory = await directoryFor(t);
    const files = [0, 1, 2].map((i) => join(directory, `token-${i}`));
    const write = (i, tokens) =>
      writeFile(files[i], `${tokens.join("\n")}\n`, { mode: 0o600 });
    for (const i of files.keys()) await write(i, ["old-token"]);
    const chain = await startGatedChain(t, directory, "ws", (i) => [
      "--peer-token-file",
      files[i],
    ]);
    const { sites } = chain;
    await chainStands(sites);
    await change(chain, (i) => write(i, ["old-token", "new-token"]));
    await change(chain, (i) => write(i, ["new-token", "old-token"]));
    await change(chain, (i) => write(i, ["new-token"]));
    await sites[2].transact([["INSERT INTO tests VALUES (1, 'with the new')"]]);
    await converged(sites);

    // The old one is worth nothing now.
    const late = await startSite(t, {
      name: "late",
      peers: [sites[0]],
      peerHost: null,
    });
    await waitFor("the one without is refused", async () =>
      /401/.test((await replicationOf(late)).dials[0].last_error ?? ""),
    );
    const oldToken = join(directory, "old");
    await writeFile(oldToken, "old-token\n", { mode: 0o600 });
    const old = await startSite(t, {
      name: "old",
      peers: [sites[0]],
      peerHost: null,
      args: ["--peer-token-file", oldToken],
    });
    await waitFor("the old one is refused", async () =>
      /401/.test((await replicationOf(old)).dials[0].last_error ?? ""),
    );
    // It gets the new one, and dials without waiting for its pause to end.
    await writeFile(oldToken, "new-token\n");
    await reload(old);
    await waitFor("it is linked", async () => (await openLinks(old)).length);
    for (const site of [...sites, old])
      assert.doesNotMatch(site.tail(1000), /(old|new)-token/);
  },
);

test(
  "certificates of a new authority at three sites that run, in three rounds",
  { timeout },
  async (t) => {
    const directory = await directoryFor(t);
    const oldAuthority = new Authority(directory, "old");
    const newAuthority = new Authority(directory, "new");
    const both = join(directory, "both.pem");
    await writeFile(
      both,
      (await readFile(oldAuthority.path, "utf8")) +
        (await readFile(newAuthority.path, "utf8")),
    );
    const filesOf = (i) => ({
      cert: join(directory, `site-${i}.pem`),
      key: join(directory, `site-${i}.key`),
      ca: join(directory, `site-${i}-ca.pem`),
    });
    const issueTo = async (i, authority) => {
      const { cert, key } = authority.issue();
      await copyFile(cert, filesOf(i).cert);
      await copyFile(key, filesOf(i).key);
    };
    const trust = (i, path) => copyFile(path, filesOf(i).ca);
    for (const i of [0, 1, 2]) {
      await issueTo(i, oldAuthority);
      await trust(i, oldAuthority.path);
    }
    const chain = await startGatedChain(t, directory, "wss", (i) =>
      tlsArgs(filesOf(i)),
    );
    const { sites } = chain;
    await chainStands(sites);
    await change(chain, (i) => trust(i, both));
    await change(chain, (i) => issueTo(i, newAuthority));
    await change(chain, (i) => trust(i, newAuthority.path));
    await sites[0].transact([["INSERT INTO tests VALUES (1, 'with the new')"]]);
    await converged(sites);

    const old = await startSite(t, {
      name: "old",
      peers: [sites[0]],
      peerHost: null,
      args: tlsArgs({ ...oldAuthority.issue(), ca: both }),
    });
    await waitFor("the old authority is refused", async () =>
      /tls/i.test((await replicationOf(old)).dials[0].last_error ?? ""),
    );
  },
);

test("files that are broken change nothing", { timeout }, async (t) => {
  const directory = await directoryFor(t);
  const authority = new Authority(directory);
  const good = authority.issue();
  const files = {
    cert: join(directory, "site.pem"),
    key: join(directory, "site.key"),
    ca: join(directory, "site-ca.pem"),
  };
  const token = join(directory, "token");
  const restore = async () => {
    await copyFile(good.cert, files.cert);
    await copyFile(good.key, files.key);
    await copyFile(authority.path, files.ca);
    await writeFile(token, "the-token\n", { mode: 0o600 });
  };
  await restore();
  const secrets = [...tlsArgs(files), "--peer-token-file", token];
  const first = await startSite(t, { name: "first", args: secrets });
  const gate = await Gate.before(first, () => new URL(first.peerUrl).port);
  const second = await startSite(t, {
    name: "second",
    peers: [`wss://127.0.0.1:${gate.port}`],
    args: [...tlsArgs(authority.issue()), "--peer-token-file", token],
  });
  await second.transact([["INSERT INTO tests VALUES (1, 'before')"]]);
  await converged([first, second]);

  const garbage = (path) => () => writeFile(path, "no PEM\n");
  const cases = [
    ["a certificate that is none", garbage(files.cert), files.cert],
    ["a key that is none", garbage(files.key), files.key],
    ["an authority that is none", garbage(files.ca), files.ca],
    ["an empty authority", () => writeFile(files.ca, ""), files.ca],
    [
      "a key of another certificate",
      () => copyFile(authority.issue().key, files.key),
      files.key,
    ],
    ["no certificate", () => rm(files.cert), files.cert],
    ["no token", () => writeFile(token, "\n"), token],
    ["a token with a space", () => writeFile(token, "a b\n"), `${token}:1`],
  ];
  for (const [name, breakFiles, named] of cases) {
    await restore();
    await breakFiles();
    const logged = first.log.length;
    await reload(first, "reloads_failed");
    const lines = first.log
      .slice(logged)
      .filter((line) => line.includes("the old ones stay in use"));
    assert.equal(lines.length, 1, `${name}: ${first.tail()}`);
    assert.ok(lines[0].includes(named), `${name}: ${lines[0]}`);
    const { error } = (await replicationOf(first)).secrets;
    assert.ok(error.includes(named), `${name}: ${error}`);
  }
  assert.equal(
    await first.metric("merrow_replication_secrets_last_reload_successful"),
    0,
  );
  assert.equal(
    await first.metric("merrow_replication_secrets_reloads_failed_total"),
    cases.length,
  );
  const shown = () =>
    spawnSync(merrowBinary(), ["status", "--url", first.url], {
      encoding: "utf8",
    }).stdout;
  assert.match(
    shown(),
    /^tokens and certificates: read .* ago, the certificate expires in .*; could not be read again .* ago: .*token/m,
  );
  // New connections are made with the old ones.
  gate.cut();
  await first.transact([["INSERT INTO tests VALUES (2, 'meanwhile')"]]);
  await converged([first, second]);
  assert.equal(
    await first.metric("merrow_replication_connections_refused_total"),
    0,
  );

  await restore();
  await reload(first);
  assert.equal(
    await first.metric("merrow_replication_secrets_last_reload_successful"),
    1,
  );
  assert.doesNotMatch(shown(), /could not be read again/);
});

test("SIGHUP without anything to read ends nothing", { timeout }, async (t) => {
  for (const args of [[], ["--replicate"]]) {
    const site = await startSite(t, { peerHost: null, args });
    process.kill(site.pid, "SIGHUP");
    await waitFor("it says so", () =>
      site.log.some((line) => /there (is|are) no.* to read again/.test(line)),
    );
    assert.deepEqual(await site.stop(), { code: 0, signal: null });
  }
});
