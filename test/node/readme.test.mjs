// SPDX-License-Identifier: Apache-2.0
//
// The quick start of the README does what it says: its schema, its client, its requests and its page, as they are printed
// there.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
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
  const client = spawn(process.execPath, [...cryptoFlags, script], {
    stdio: "inherit",
  });
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

test("the page of the README", { timeout: 120_000 }, async (t) => {
  const readme = await readFile(join(repository, "README.md"), "utf8");
  const shell = /```sh\n(mkdir web\n[\s\S]*?)```/.exec(readme)[1];
  const directory = await mkdtemp(join(tmpdir(), "merrow-readme-"));
  t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  const schema = join(directory, "schema.sql");
  await writeFile(schema, block(readme, "sql"));
  // What the demo is made with.
  await symlink(
    join(repository, "examples/demo/node_modules"),
    join(directory, "node_modules"),
  );
  execFileSync("sh", ["-ec", shell], { cwd: directory, stdio: "pipe" });
  const server = await startServer(t, {
    schema,
    args: ["--static", join(directory, "web")],
  });
  const browser = await chromium.launch({
    executablePath: process.env.MERROW_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"],
  });
  server.beforeEnd(() => browser.close());
  const pages = [await browser.newPage(), await browser.newPage()];
  for (const page of pages) await page.goto(server.url);
  const shows = (page, text) =>
    waitFor(
      "the text",
      async () => (await page.inputValue("textarea")) === text,
    );
  // The first keystroke counts once the room is joined. What is filled in again is no further edit, which could meet what
  // is typed below.
  await waitFor("an edit", async () => {
    await pages[0].fill("textarea", "hello");
    return server.row("note", "hello").then((row) => row.body === "hello");
  });
  await shows(pages[1], "hello");
  await pages[1].locator("textarea").press("End");
  await pages[1].locator("textarea").pressSequentially(" you");
  await shows(pages[0], "hello you");
});
