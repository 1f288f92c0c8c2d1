// SPDX-License-Identifier: Apache-2.0
//
// Two pages of the demo in headless Chromium, served by the binary: what is typed in one appears in the other, and both
// survive a restart of the server. Leaves screenshots in build/screenshots.

import assert from "node:assert/strict";
import { accessSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { repository } from "./lib/binary.mjs";
import { startServer } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const demo = join(repository, "build/demo");
const screenshots = join(repository, "build/screenshots");
const browserPath = process.env.MERROW_CHROMIUM ?? "/usr/bin/chromium";
const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

async function startDemo(t) {
  accessSync(join(demo, "index.html"));
  accessSync(browserPath);
  await mkdir(screenshots, { recursive: true });
  return startServer(t, {
    schema: join(repository, "examples/demo/schema.sql"),
    args: ["--static", demo],
  });
}

// A browser of its own with one page of the demo, gone when the test ends. What goes wrong in the page is kept.
async function openPage(t, server, options = {}) {
  const profile = await mkdtemp(join(tmpdir(), "merrow-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: browserPath,
    args: flags,
    headless: true,
    viewport: { width: 1360, height: 850 },
    ...options,
  });
  server.beforeEnd(async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(20_000);
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(server.url);
  await page.locator('#connection[data-state="connected"]').waitFor();
  return { page, problems };
}

const body = (page) => page.inputValue("#note-body");
const allSaved = (page) => page.locator('#saved[data-state="saved"]').waitFor();

test(
  "two pages edit together, see each other, and survive a restart of the server",
  { timeout: 240_000 },
  async (t) => {
    const server = await startDemo(t);
    const [ana, ben] = await Promise.all([
      openPage(t, server),
      openPage(t, server, { colorScheme: "dark" }),
    ]);

    await ana.page.click("#empty [data-add-note]");
    await ana.page.keyboard.type("Launch checklist");
    await ana.page.keyboard.press("Enter");
    await ana.page.keyboard.type(
      "Things to settle before Thursday:\n\n- freeze the wire format\n",
    );
    await waitFor("ben reads what ana typed", async () =>
      (await body(ben.page)).endsWith("wire format\n"),
    );
    assert.equal(await ben.page.inputValue("#note-title"), "Launch checklist");

    // Both type at once, in the same text.
    await ben.page.click("#note-body");
    await ben.page.keyboard.press("Control+End");
    await Promise.all([
      ben.page.keyboard.type("- run the crash test overnight\n", { delay: 10 }),
      (async () => {
        await ana.page.keyboard.press("Control+Home");
        await ana.page.keyboard.type("Friday? ", { delay: 20 });
      })(),
    ]);
    const expected =
      "Friday? Things to settle before Thursday:\n\n- freeze the wire format\n- run the crash test overnight\n";
    for (const { page } of [ana, ben])
      await waitFor(
        "both texts are equal",
        async () => (await body(page)) === expected,
      );
    // Ana's caret stayed where she was typing, while Ben's text came in after it.
    assert.equal(
      await ana.page.evaluate(
        () => document.querySelector("#note-body").selectionEnd,
      ),
      8,
    );

    await ben.page.click("#vote-up");
    await ana.page.click("#vote-up");
    await ana.page.click("#vote-up");
    for (const { page } of [ana, ben])
      await page.locator("#note-votes", { hasText: /^3$/ }).waitFor();
    await ben.page.fill("#note-tag-input", "release");
    await ben.page.press("#note-tag-input", "Enter");
    await ana.page.locator(".tag", { hasText: "release" }).waitFor();
    await ben.page.click('.swatch[data-colour="mint"]');
    await ana.page.locator('#editor[data-colour="mint"]').waitFor();

    // Presence: each sees the other by name, and the caret in the text.
    const benName = await ben.page.inputValue("#my-name");
    await ana.page.locator(".person-name", { hasText: benName }).waitFor();
    await ben.page.click("#note-body");
    await ana.page.locator(".caret-name", { hasText: benName }).waitFor();

    // The wire panel shows what a keystroke costs.
    await ben.page.keyboard.press("Control+End");
    await ben.page.keyboard.type("x");
    const cost = await waitFor("the cost of a keystroke", async () =>
      Number(/^(\d+) B$/.exec(await ben.page.innerText("#wire-last"))?.[1]),
    );
    assert.ok(cost > 20 && cost <= 200, `${cost} bytes per keystroke`);
    t.diagnostic(`one keystroke: ${cost} bytes sent`);
    await ben.page.keyboard.press("Backspace");
    for (const { page } of [ana, ben])
      await waitFor(
        "both texts are equal",
        async () => (await body(page)) === expected,
      );
    await Promise.all([ana, ben].map(({ page }) => allSaved(page)));
    await ana.page.screenshot({ path: join(screenshots, "demo-light.png") });
    await ben.page.screenshot({ path: join(screenshots, "demo-dark.png") });

    // The server is killed; both go on typing, and find each other again by themselves.
    await server.kill();
    for (const { page } of [ana, ben])
      await page.locator('#connection:not([data-state="connected"])').waitFor();
    await ana.page.click("#note-body");
    await ana.page.keyboard.press("Control+Home");
    await ana.page.keyboard.type("[ana was offline] ");
    await ben.page.click("#note-body");
    await ben.page.keyboard.press("Control+End");
    await ben.page.keyboard.type("- ben was offline\n");
    await server.start();
    const merged = `[ana was offline] ${expected}- ben was offline\n`;
    for (const { page } of [ana, ben]) {
      await page.locator('#connection[data-state="connected"]').waitFor();
      await waitFor(
        "both have both",
        async () => (await body(page)) === merged,
      );
    }
    await Promise.all([ana, ben].map(({ page }) => allSaved(page)));

    // And after a clean restart a reload shows all of it.
    await server.stop("SIGTERM");
    await server.start();
    await ana.page.reload();
    await waitFor(
      "the text is back",
      async () => (await body(ana.page)) === merged,
    );
    await ana.page.locator("#note-votes", { hasText: /^3$/ }).waitFor();
    await ana.page.locator(".tag", { hasText: "release" }).waitFor();
    assert.deepEqual([...ana.problems, ...ben.problems], []);
  },
);

test(
  "the page works with notes, undo, the offline switch, and on a small screen",
  { timeout: 240_000 },
  async (t) => {
    const server = await startDemo(t);
    const [ana, ben] = await Promise.all([
      openPage(t, server),
      openPage(t, server),
    ]);
    await ana.page.locator("#empty").waitFor();
    await ana.page.screenshot({ path: join(screenshots, "demo-empty.png") });

    await ana.page.keyboard.press("Alt+n");
    await ana.page.keyboard.type("First");
    await ana.page.keyboard.press("Enter");
    await ana.page.keyboard.type("one 🚀");
    await waitFor(
      "ben has the text",
      async () => (await body(ben.page)) === "one 🚀",
    );
    await ben.page.click(".sidebar [data-add-note]");
    await ben.page.keyboard.type("Second");
    await ana.page.locator(".note", { hasText: "Second" }).waitFor();
    assert.equal(await ana.page.inputValue("#note-title"), "First");

    // Undo takes back ana's words and leaves ben's.
    await ben.page.click('.note:has-text("First") .note-open');
    await ben.page.click("#note-body");
    await ben.page.keyboard.press("Control+Home");
    await ben.page.keyboard.type("ben: ");
    await waitFor(
      "ana has ben's words",
      async () => (await body(ana.page)) === "ben: one 🚀",
    );
    await ana.page.click("#note-body");
    await ana.page.keyboard.press("Control+End");
    await ana.page.keyboard.press("Backspace");
    await waitFor(
      "the whole rocket is gone",
      async () => (await body(ben.page)) === "ben: one ",
    );
    await ana.page.keyboard.press("Control+z");
    await waitFor(
      "the rocket is back",
      async () => (await body(ben.page)) === "ben: one 🚀",
    );

    await ana.page.click("#offline");
    await ana.page.locator('#connection[data-state="offline"]').waitFor();
    await ana.page.click("#note-body");
    await ana.page.keyboard.press("Control+End");
    await ana.page.keyboard.type(" ana away");
    await ben.page.click("#note-body");
    await ben.page.keyboard.press("Control+Home");
    await ben.page.keyboard.type("hm, ");
    await ana.page.click("#offline");
    for (const { page } of [ana, ben]) {
      await waitFor(
        "both have both",
        async () => (await body(page)) === "hm, ben: one 🚀 ana away",
      );
    }

    await ben.page.hover('.note:has-text("Second")');
    await ben.page.click('.note:has-text("Second") .note-remove');
    await ana.page
      .locator(".note", { hasText: "Second" })
      .waitFor({ state: "detached" });

    await ana.page.setViewportSize({ width: 390, height: 844 });
    await ana.page.screenshot({ path: join(screenshots, "demo-small.png") });
    const overflow = await ana.page.evaluate(
      () => document.documentElement.scrollWidth - innerWidth,
    );
    assert.ok(
      overflow <= 0,
      `the page is ${overflow} pixels wider than a small screen`,
    );
    assert.deepEqual([...ana.problems, ...ben.problems], []);
  },
);
