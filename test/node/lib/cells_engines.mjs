// SPDX-License-Identifier: Apache-2.0
//
// The two engines of the cells tests behind one interface: merrow.so in the sql worker, and cr-sqlite as its authors
// publish it (the synchronous build that @vlcn.io/crsqlite-wasm brings along).
//
// engine.open(name), engine.close(name), engine.run(name, [[sql, args], ...]) -> [{ rows } | { error }, ...]. Values are
// those of the sql worker: null, text, integers as numbers, reals as { r }, blobs as { b: hex }.

import { spawn } from "node:child_process";
import { accessSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { repository } from "./binary.mjs";

const SQLITE_ROW = 100;
const SQLITE_DONE = 101;
const [INTEGER, FLOAT, TEXT, BLOB] = [1, 2, 3, 4];

export function extensionPath() {
  const path =
    process.env.MERROW_EXTENSION ?? `${repository}build/release/merrow.so`;
  accessSync(path);
  return path;
}

export function sqlWorkerPath() {
  const path =
    process.env.MERROW_SQL_WORKER ??
    `${repository}build/release/merrow-sql-worker`;
  accessSync(path);
  return path;
}

// merrow.so, in a process of its own: a crash there is a failed test here, with the commands that led to it.
export class MerrowEngine {
  name = "merrow";
  #process;
  #waiting = [];

  constructor() {
    this.#process = spawn(sqlWorkerPath(), [extensionPath()], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    createInterface({ input: this.#process.stdout }).on("line", (line) =>
      this.#waiting.shift().resolve(JSON.parse(line)),
    );
    this.#process.on("exit", (code, signal) => {
      for (const { reject } of this.#waiting)
        reject(new Error(`the sql worker ended: ${code ?? signal}`));
      this.#waiting = [];
    });
  }

  send(commands) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#process.stdin.write(`${JSON.stringify(commands)}\n`);
    });
  }

  async open(name, path = ":memory:") {
    const [result] = await this.send([{ db: name, open: path }]);
    if (result.error) throw new Error(result.error);
  }

  async close(name) {
    const [result] = await this.send([{ db: name, close: true }]);
    if (result.error) throw new Error(result.error);
  }

  run(name, statements) {
    return this.send(
      statements.map(([sql, args]) =>
        args === undefined ? { db: name, sql } : { db: name, sql, args },
      ),
    );
  }

  async stop() {
    this.#process.stdin.end();
    await new Promise((resolve) => this.#process.once("exit", resolve));
  }
}

const require = createRequire(import.meta.url);

export class CrSqliteEngine {
  name = "cr-sqlite";
  #module;
  #dbs = new Map();
  #statements = new Map();
  #pointer;

  static async create() {
    const engine = new CrSqliteEngine();
    const folder = require
      .resolve("@vlcn.io/wa-sqlite/package.json")
      .replace(/package\.json$/, "dist/");
    const { default: factory } = await import(
      pathToFileURL(`${folder}crsqlite-sync.mjs`).href
    );
    engine.#module = await factory({
      wasmBinary: readFileSync(`${folder}crsqlite-sync.wasm`),
    });
    engine.#pointer = engine.#module._malloc(8);
    return engine;
  }

  open(name) {
    const m = this.#module;
    const path = this.#text(":memory:");
    // READWRITE | CREATE
    const code = m._sqlite3_open_v2(path, this.#pointer, 6, 0);
    m._free(path);
    if (code !== 0) throw new Error(`cr-sqlite cannot open: ${code}`);
    this.#dbs.set(name, m.HEAP32[this.#pointer >> 2]);
    this.#statements.set(name, new Map());
  }

  close(name) {
    for (const statement of this.#statements.get(name).values())
      this.#module._sqlite3_finalize(statement);
    this.#statements.delete(name);
    this.run(name, [["SELECT crsql_finalize()"]]);
    this.#module._sqlite3_close(this.#dbs.get(name));
    this.#dbs.delete(name);
  }

  run(name, statements) {
    return statements.map(([sql, args]) => {
      try {
        return {
          rows: args ? this.#cached(name, sql, args) : this.#script(name, sql),
        };
      } catch (error) {
        return { error: error.message };
      }
    });
  }

  stop() {}

  #text(text) {
    const m = this.#module;
    const bytes = Buffer.from(text, "utf8");
    const at = m._malloc(bytes.length + 1);
    m.HEAPU8.set(bytes, at);
    m.HEAPU8[at + bytes.length] = 0;
    return at;
  }

  #fail(db) {
    const m = this.#module;
    const at = m._sqlite3_errmsg(db);
    throw new Error(
      Buffer.from(m.HEAPU8.slice(at, m.HEAPU8.indexOf(0, at))).toString(),
    );
  }

  #prepare(db, at) {
    const m = this.#module;
    if (m._sqlite3_prepare_v2(db, at, -1, this.#pointer, this.#pointer + 4))
      this.#fail(db);
    return [
      m.HEAP32[this.#pointer >> 2],
      m.HEAP32[(this.#pointer + 4) >> 2],
    ];
  }

  // A statement stays prepared, but never across a change of the schema, which callers make by #script.
  #cached(name, sql, args) {
    const db = this.#dbs.get(name);
    const statements = this.#statements.get(name);
    let statement = statements.get(sql);
    if (!statement) {
      const at = this.#text(sql);
      try {
        [statement] = this.#prepare(db, at);
      } finally {
        this.#module._free(at);
      }
      statements.set(sql, statement);
    }
    return this.#run(db, statement, args);
  }

  #script(name, sql) {
    const db = this.#dbs.get(name);
    const text = this.#text(sql);
    let rows = [];
    try {
      for (let at = text; this.#module.HEAPU8[at] !== 0; ) {
        const [statement, next] = this.#prepare(db, at);
        at = next;
        if (!statement) continue;
        try {
          rows = this.#run(db, statement, []);
        } finally {
          this.#module._sqlite3_finalize(statement);
        }
      }
    } finally {
      this.#module._free(text);
    }
    return rows;
  }

  #bind(statement, index, value, kept) {
    const m = this.#module;
    if (value === null) return m._sqlite3_bind_null(statement, index);
    if (typeof value === "number") {
      const wide = BigInt.asUintN(64, BigInt(value));
      return m._sqlite3_bind_int64(
        statement,
        index,
        Number(wide & 0xffffffffn) | 0,
        Number(wide >> 32n) | 0,
      );
    }
    if (typeof value === "object" && "r" in value)
      return m._sqlite3_bind_double(statement, index, value.r);
    const blob = typeof value === "object";
    const bytes = Buffer.from(blob ? value.b : value, blob ? "hex" : "utf8");
    const at = m._malloc(bytes.length + 1);
    m.HEAPU8.set(bytes, at);
    kept.push(at);
    const bind = blob ? m._sqlite3_bind_blob : m._sqlite3_bind_text;
    return bind(statement, index, at, bytes.length, 0);
  }

  #value(statement, column) {
    const m = this.#module;
    const type = m._sqlite3_column_type(statement, column);
    if (type === INTEGER) return m._sqlite3_column_double(statement, column);
    if (type === FLOAT)
      return { r: m._sqlite3_column_double(statement, column) };
    if (type !== TEXT && type !== BLOB) return null;
    const at = m._sqlite3_column_blob(statement, column);
    const size = m._sqlite3_column_bytes(statement, column);
    const bytes = Buffer.from(m.HEAPU8.subarray(at, at + size));
    return type === TEXT
      ? bytes.toString("utf8")
      : { b: bytes.toString("hex") };
  }

  #run(db, statement, args) {
    const m = this.#module;
    const kept = [];
    const rows = [];
    args.forEach((value, i) => this.#bind(statement, i + 1, value, kept));
    let code = m._sqlite3_step(statement);
    const count = m._sqlite3_column_count(statement);
    while (code === SQLITE_ROW) {
      rows.push(
        Array.from({ length: count }, (_, i) => this.#value(statement, i)),
      );
      code = m._sqlite3_step(statement);
    }
    try {
      if (code !== SQLITE_DONE) this.#fail(db);
    } finally {
      m._sqlite3_reset(statement);
      m._sqlite3_clear_bindings(statement);
      for (const at of kept) m._free(at);
    }
    return rows;
  }
}
