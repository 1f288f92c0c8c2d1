// SPDX-License-Identifier: Apache-2.0
//
// The quick start of the README does what it says: its schema, its client and its requests, as they are printed there.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { repository } from "./lib/binary.mjs";
import { startServer } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

// Node 18 has what browsers have, behind a flag.
const cryptoFlags =
  globalThis.crypto === undefined ? ["--experimental-global-webcrypto"] : [];

const block = (text, language) => {
  const found = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(text);
  assert.ok(found, `the README has a ${language} block`);
  return found[1];
};

test("the quick start of the README", { timeout: 60_000 }, async (t) => {
  const readme = await readFile(join(repository, "README.md"), "utf8");
  const schema = join(tmpdir(), `merrow-readme-${process.pid}.sql`);
  await writeFile(schema, block(readme, "sql"));
  t.after(() => rm(schema, { force: true }));
  const server = await startServer(t, { schema });

  // Beside the tests, because that is where the packages are found.
  const script = fileURLToPath(
    new URL(`readme-${process.pid}.tmp.mjs`, import.meta.url),
  );
  t.after(() => rm(script, { force: true }));
  await writeFile(
    script,
    block(readme, "js").replaceAll(
      "127.0.0.1:6377",
      `127.0.0.1:${server.port}`,
    ),
  );
  const client = spawn(
    process.execPath,
    [...cryptoFlags, script],
    { stdio: "inherit" },
  );
  t.after(() => client.kill("SIGKILL"));

  const row = await waitFor("the row", () => server.row("note", "hello"));
  assert.deepEqual(
    { title: row.title, body: row.body, votes: row.votes },
    { title: "Hello", body: "written together", votes: 1 },
  );
  const query = /-d '(\[.*\])'/.exec(readme)[1];
  assert.deepEqual((await server.query(...JSON.parse(query))).rows, [
    ["hello", "Hello", 1],
  ]);
});
