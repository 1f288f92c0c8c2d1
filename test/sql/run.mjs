// SPDX-License-Identifier: Apache-2.0
//
// Runs SQL text tests against merrow.so. A test is a .sql file of statements, each closed by a semicolon at the end of
// a line and followed by what it must give, as comments:
//
//     SELECT 1, 'a', x'ff', 2.5, NULL;
//     --> 1|'a'|x'ff'|2.5|NULL
//     SELECT merrow_track('nothing');
//     --! merrow: table nothing: there is no such table
//
// Lines that begin with a dot are for this program:
//
//     .site NAME          the statements that follow are for this site; a new one is an empty database
//     .sync FROM TO [N]   what FROM has changed after its db_version N (0) is merged by TO
//     .both A B           .sync A B, then .sync B A
//     .mail FROM TO       what FROM has and TO has not, as a changeset, is applied by TO: how many rows changed
//     .equal A B SQL      the query gives the same on both
//     .close NAME         which must not fail
//     .copy NAME FILE     the site is a copy of that file of test/
//     .file NAME          a new site that is a file
//     .reopen NAME        closes such a site and opens it again
//
// Usage: node test/sql/run.mjs WORKER EXTENSION [--update] FILE...
//   --update   writes what came out into the files, to be read and judged before it is committed

import { spawn } from "node:child_process";
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";

const [workerPath, extensionPath, ...rest] = process.argv.slice(2);
const update = rest.includes("--update");
const files = rest.filter((file) => file !== "--update");

const changes = `SELECT "table", pk, cid, val, col_version, db_version, site_id, cl, seq FROM crsql_changes WHERE db_version > ?`;
const merge = "INSERT INTO crsql_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

const worker = spawn(workerPath, [extensionPath], {
  stdio: ["pipe", "pipe", "inherit"],
});
const waiting = [];
createInterface({ input: worker.stdout }).on("line", (line) =>
  waiting.shift()(JSON.parse(line)),
);
let stopping = false;
worker.on("exit", (code, signal) => {
  if (stopping) return;
  console.error(`the sql worker ended: ${code ?? signal}`);
  process.exit(1);
});

async function ask(command) {
  const answer = new Promise((resolve) => waiting.push(resolve));
  worker.stdin.write(`${JSON.stringify([command])}\n`);
  const [result] = await answer;
  return result;
}

function show(value) {
  if (value === null) return "NULL";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return `'${value.replaceAll("'", "''")}'`;
  if ("i" in value) return value.i;
  if ("b" in value) return `x'${value.b}'`;
  return Number.isInteger(value.r) ? `${value.r}.0` : String(value.r);
}

const outputOf = (result) =>
  result.error !== undefined
    ? result.error.split("\n").map((line) => `--! ${line}`)
    : (result.rows ?? []).map((row) => `--> ${row.map(show).join("|")}`);

let nextDb = 1;
const folder = mkdtempSync(join(tmpdir(), "merrow-sql-"));
process.on("exit", () => rmSync(folder, { recursive: true }));

class Script {
  sites = new Map();
  files = new Map();
  current = "a";

  async db(name) {
    if (!this.sites.has(name)) {
      this.sites.set(name, nextDb++);
      const opened = await ask({ db: this.sites.get(name), open: ":memory:" });
      if (opened.error) throw new Error(opened.error);
    }
    return this.sites.get(name);
  }

  async sync(from, to, after = "0") {
    return ask({
      db: await this.db(from),
      copy: await this.db(to),
      sql: changes,
      args: [Number(after)],
      into: merge,
    });
  }

  async mail(from, to) {
    const versions = await ask({
      db: await this.db(to),
      sql: "SELECT merrow_versions()",
      args: [],
    });
    if (versions.error) return versions;
    const changeset = await ask({
      db: await this.db(from),
      sql: "SELECT merrow_changeset(?)",
      args: versions.rows[0],
    });
    if (changeset.error) return changeset;
    return ask({
      db: await this.db(to),
      sql: "SELECT merrow_apply(?)",
      args: changeset.rows[0],
    });
  }

  async directive(line) {
    const [word, ...args] = line.slice(1).split(" ");
    switch (word) {
      case "site":
        this.current = args[0];
        await this.db(args[0]);
        return [];
      case "copy":
      case "file": {
        const path = join(folder, `${nextDb}.db`);
        if (word === "copy") copyFileSync(new URL(`../${args[1]}`, import.meta.url), path);
        this.current = args[0];
        this.files.set(args[0], path);
        this.sites.set(args[0], nextDb++);
        return outputOf(await ask({ db: this.sites.get(args[0]), open: path }));
      }
      case "reopen": {
        const db = await this.db(args[0]);
        const closed = outputOf(await ask({ db, close: true }));
        if (closed.length) return closed;
        return outputOf(await ask({ db, open: this.files.get(args[0]) }));
      }
      case "sync":
        return outputOf(await this.sync(...args));
      case "both": {
        const there = await this.sync(args[0], args[1]);
        const back = await this.sync(args[1], args[0]);
        return [...outputOf(there), ...outputOf(back)];
      }
      case "mail":
        return outputOf(await this.mail(...args));
      case "equal": {
        const sql = args.slice(2).join(" ");
        const a = outputOf(await ask({ db: await this.db(args[0]), sql }));
        const b = outputOf(await ask({ db: await this.db(args[1]), sql }));
        if (a.join("\n") === b.join("\n")) return [];
        return ["--! differ", ...a.map((l) => `${l} (${args[0]})`), ...b.map((l) => `${l} (${args[1]})`)];
      }
      case "close": {
        const closed = await ask({ db: await this.db(args[0]), close: true });
        this.sites.delete(args[0]);
        return outputOf(closed);
      }
      default:
        throw new Error(`unknown directive ${line}`);
    }
  }

  async statement(sql) {
    return outputOf(await ask({ db: await this.db(this.current), sql }));
  }

  async end() {
    for (const name of [...this.sites.keys()]) {
      const failed = await this.directive(`.close ${name}`);
      if (failed.length) throw new Error(`closing ${name}: ${failed.join(" ")}`);
    }
  }
}

// What the file says, with the output that it really gives.
async function play(text) {
  const script = new Script();
  const out = [];
  let sql = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("-->") || line.startsWith("--!")) continue;
    out.push(line);
    if (sql.length === 0 && line.startsWith(".")) {
      out.push(...(await script.directive(line)));
    } else if (sql.length > 0 || !(line.startsWith("--") || line.trim() === "")) {
      sql.push(line);
      const isTriggerBody = /^CREATE (TEMP )?TRIGGER/i.test(sql[0]) && !/END;$/.test(line);
      if (line.endsWith(";") && !isTriggerBody) {
        out.push(...(await script.statement(sql.join("\n"))));
        sql = [];
      }
    }
  }
  if (sql.length) throw new Error(`a statement is not closed: ${sql.join("\n")}`);
  await script.end();
  return out.join("\n");
}

function firstDifference(expected, actual) {
  const [a, b] = [expected.split("\n"), actual.split("\n")];
  const at = a.findIndex((line, i) => line !== b[i]);
  const from = Math.max(0, at - 3);
  return [
    `line ${at + 1}`,
    "expected:",
    ...a.slice(from, at + 4).map((line) => `  ${line}`),
    "came:",
    ...b.slice(from, at + 4).map((line) => `  ${line}`),
  ].join("\n");
}

let failed = 0;
for (const file of files) {
  const expected = readFileSync(file, "utf8");
  const actual = await play(expected);
  if (update) writeFileSync(file, actual);
  else if (actual !== expected) {
    failed += 1;
    console.error(`${basename(file)}: ${firstDifference(expected, actual)}`);
  }
}
stopping = true;
worker.stdin.end();
console.log(`${files.length - failed} of ${files.length} SQL tests passed`);
if (files.length === 0 || failed) process.exitCode = 1;
