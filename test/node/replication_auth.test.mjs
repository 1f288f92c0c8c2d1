// SPDX-License-Identifier: Apache-2.0
//
// Who may link: tokens and mutual TLS between real processes. What is refused is said by the status of the site that
// dialed, and the data stays where it is.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { merrowBinary } from "./lib/binary.mjs";
import { Authority, tlsArgs } from "./lib/certificates.mjs";
import { converged, convergeMs, sitesSchema, startSite } from "./lib/site.mjs";
import { waitFor } from "./lib/wait.mjs";

const timeout = 2 * convergeMs;

async function directoryFor(t) {
  const directory = await mkdtemp(join(tmpdir(), "merrow-auth-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function tokenFile(directory, name, token) {
  const path = join(directory, name);
  await writeFile(path, `${token}\n`, { mode: 0o600 });
  return ["--peer-token-file", path];
}

// The error of the one URL that `site` dials, once it has failed.
function dialError(site) {
  return waitFor(
    `${site.name} says why it has no link`,
    async () => {
      const { dials, links } = (await site.status()).replication;
      assert.equal(links.length, 0);
      return dials[0].failures > 0 && dials[0].last_error;
    },
    { timeoutMs: convergeMs },
  );
}

test(
  "a token: the right one links, a wrong one or none is refused and says so",
  { timeout },
  async (t) => {
    const directory = await directoryFor(t);
    const right = await tokenFile(directory, "right", "s3cret-of-all-sites");
    const wrong = await tokenFile(directory, "wrong", "s3cret-of-nobody");
    const first = await startSite(t, { name: "first", args: right });
    const second = await startSite(t, {
      name: "second",
      peers: [first],
      args: right,
    });
    const stranger = await startSite(t, {
      name: "stranger",
      peers: [first],
      peerHost: null,
      args: wrong,
    });
    const nameless = await startSite(t, {
      name: "nameless",
      peers: [first],
      peerHost: null,
    });
    await first.transact([["INSERT INTO tests VALUES (1, 'for the two')"]]);
    await stranger.transact([["INSERT INTO tests VALUES (2, 'from nobody')"]]);
    const { dump } = await converged([first, second]);
    assert.ok(!dump.includes("from nobody"));
    for (const site of [stranger, nameless]) {
      const error = await dialError(site);
      assert.match(error, /401/);
      assert.ok(!site.tail(1000).includes("s3cret"), "a log has a token");
    }
    assert.ok(!first.tail(1000).includes("s3cret"), "a log has a token");
    assert.deepEqual(
      await stranger.select("SELECT id FROM tests ORDER BY id"),
      [[2]],
    );
    // `merrow status` shows it to people.
    const shown = spawnSync(merrowBinary(), ["status", "--url", stranger.url], {
      encoding: "utf8",
    });
    assert.equal(shown.status, 0, shown.stderr);
    assert.match(shown.stdout, /401/);
  },
);

test(
  "mutual TLS: certificates of the authority link, all else is refused",
  { timeout },
  async (t) => {
    const directory = await directoryFor(t);
    const authority = new Authority(directory);
    const foreign = new Authority(directory, "foreign");
    const first = await startSite(t, {
      name: "first",
      args: tlsArgs(authority.issue()),
    });
    assert.match(first.peerUrl, /^wss:/);
    const second = await startSite(t, {
      name: "second",
      peers: [first],
      args: tlsArgs(authority.issue()),
    });
    await second.transact([["INSERT INTO tests VALUES (1, 'encrypted')"]]);
    await converged([first, second]);
    assert.equal((await first.select("SELECT * FROM tests")).length, 1);

    const refused = [
      ["without certificate", { ca: authority.path }],
      ["foreign certificate", { ...foreign.issue(), ca: authority.path }],
      ["trusts another authority", { ...authority.issue(), ca: foreign.path }],
    ];
    for (const [name, files] of refused) {
      const site = await startSite(t, {
        name,
        peers: [first],
        peerHost: null,
        args: tlsArgs(files),
      });
      assert.match(await dialError(site), /tls/i, name);
      await site.stop();
    }
    // A certificate for another host.
    const elsewhere = await startSite(t, {
      name: "elsewhere",
      args: tlsArgs(authority.issue("DNS:elsewhere.example")),
    });
    const visitor = await startSite(t, {
      name: "visitor",
      peers: [elsewhere],
      peerHost: null,
      args: tlsArgs(authority.issue()),
    });
    assert.match(await dialError(visitor), /IP address mismatch/);
  },
);

test("a door that others can reach needs a secret", { timeout }, async (t) => {
  const directory = await directoryFor(t);
  const serve = (address, ...args) =>
    spawnSync(
      merrowBinary(),
      [
        ...["serve", "--db", join(directory, "x.db"), "--schema", sitesSchema],
        ...["--listen", "127.0.0.1:0", "--peer-listen", address],
        ...args,
      ],
      { encoding: "utf8", timeout: 30_000 },
    );
  const open = serve("0.0.0.0:0");
  assert.notEqual(open.status, 0);
  assert.match(open.stderr, /token|TLS/);
  const absent = serve(
    "127.0.0.1:0",
    "--peer-token-file",
    join(directory, "absent"),
  );
  assert.notEqual(absent.status, 0);
  assert.match(absent.stderr, /absent/);
  await writeFile(join(directory, "garbage"), "no PEM\n");
  const garbage = join(directory, "garbage");
  const bad = serve("127.0.0.1:0", "--tls-cert", garbage, "--tls-key", garbage);
  assert.notEqual(bad.status, 0);
  assert.match(bad.stderr, /garbage/);
});
