// SPDX-License-Identifier: Apache-2.0
//
// Two document engines behind one interface, for differential tests: npm loro-crdt in this process, and any program
// that speaks the JSON-lines contract of `merrow doc worker` in a subprocess.
//
//   create(doc, peer), free(doc)
//   import(doc, bytes)          -> {success, pending}: {peer: [start, end)}
//   export(doc, mode, options)  -> bytes; mode "update" (with what `from` lacks), "snapshot", "shallow-snapshot" (at
//                                  `frontiers`) or "updates-in-range" (of `spans`, {id: {peer, counter}, len})
//   edit(doc, container, op)    -> {container?, node?}; op is {name: [arguments]}, text positions in unicode scalars
//   commit(doc, {message, timestamp}), checkout(doc, frontiers), checkoutToLatest(doc)
//   json(doc), delta(doc, text), jsonUpdates(doc)
//   version(doc)                -> {vv: {peer: counter}, frontiers: [{peer, counter}]}
//
// Every method returns a promise. The subprocess answers in order, so requests are pipelined: a caller need not wait
// for one answer before it sends the next request, and what is requested in one turn of the event loop is one write.

import { spawn } from "node:child_process";
import {
  LoroCounter,
  LoroDoc,
  LoroList,
  LoroMap,
  LoroMovableList,
  LoroText,
  LoroTree,
  VersionVector,
} from "loro-crdt";

const containerClasses = {
  Counter: LoroCounter,
  List: LoroList,
  Map: LoroMap,
  MovableList: LoroMovableList,
  Text: LoroText,
  Tree: LoroTree,
};

// The styles that documents under test know, with each way of growing.
export const textStyles = {
  bold: { expand: "after" },
  link: { expand: "none" },
  note: { expand: "both" },
  head: { expand: "before" },
};

const rootName = /^cid:root-(.*):(\w+)$/s;

// Roots whose names start like this are mergeable children, which exist if their parent says so.
const mergeablePrefix = "cid:root-🤝:";

function openContainer(doc, id) {
  const root = id.startsWith(mergeablePrefix) ? null : rootName.exec(id);
  const found = root ? doc[`get${root[2]}`](root[1]) : doc.getContainerById(id);
  if (!found) throw new Error(`no container ${id}`);
  return found;
}

// UTF-16 offset of a position that is counted in unicode scalars.
function utf16Offset(text, scalars) {
  let offset = 0;
  for (let left = scalars; left > 0; left -= 1) {
    if (offset >= text.length)
      throw new Error(`position ${scalars} is past the end of the text`);
    offset += text.codePointAt(offset) > 0xffff ? 2 : 1;
  }
  return offset;
}

const rangesToJson = (ranges) =>
  Object.fromEntries(
    [...(ranges ?? [])].map(([peer, span]) => [
      String(peer),
      [span.start, span.end],
    ]),
  );

export const versionFromJson = (vv) =>
  VersionVector.parseJSON(new Map(Object.entries(vv)));

const editors = {
  Text: {
    insert(target, [at, text]) {
      target.insert(utf16Offset(target.toString(), at), text);
    },
    delete(target, [at, length]) {
      const text = target.toString();
      const start = utf16Offset(text, at);
      target.delete(start, utf16Offset(text, at + length) - start);
    },
    mark(target, [start, end, key, value]) {
      const text = target.toString();
      target.mark(
        { start: utf16Offset(text, start), end: utf16Offset(text, end) },
        key,
        value,
      );
    },
    unmark(target, [start, end, key]) {
      const text = target.toString();
      target.unmark(
        { start: utf16Offset(text, start), end: utf16Offset(text, end) },
        key,
      );
    },
  },
  List: {
    insert: (target, [at, value]) => target.insert(at, value),
    insertContainer: (target, [at, kind]) => ({
      container: target.insertContainer(at, new containerClasses[kind]()).id,
    }),
    delete: (target, [at, length]) => target.delete(at, length),
  },
  MovableList: {
    insert: (target, [at, value]) => target.insert(at, value),
    insertContainer: (target, [at, kind]) => ({
      container: target.insertContainer(at, new containerClasses[kind]()).id,
    }),
    delete: (target, [at, length]) => target.delete(at, length),
    set: (target, [at, value]) => target.set(at, value),
    move: (target, [from, to]) => target.move(from, to),
  },
  Map: {
    set: (target, [key, value]) => target.set(key, value),
    delete: (target, [key]) => target.delete(key),
    setContainer: (target, [key, kind]) => ({
      container: target.setContainer(key, new containerClasses[kind]()).id,
    }),
    ensureMergeable: (target, [key, kind]) => ({
      container: target[`ensureMergeable${kind}`](key).id,
    }),
  },
  Counter: { increment: (target, [by]) => target.increment(by) },
  Tree: {
    create: (target, [parent, index]) => ({
      node: target.createNode(parent ?? undefined, index ?? undefined).id,
    }),
    move: (target, [node, parent, index]) =>
      target.move(node, parent ?? undefined, index),
    delete: (target, [node]) => target.delete(node),
  },
};

export class LoroEngine {
  name = "loro-crdt";
  #docs = new Map();

  // The live document, for what only this process can see of it.
  doc(name) {
    const found = this.#docs.get(name);
    if (!found) throw new Error(`no document "${name}"`);
    return found;
  }

  async create(name, peer) {
    const doc = new LoroDoc();
    doc.setPeerId(peer);
    doc.configTextStyle(textStyles);
    this.#docs.set(name, doc);
  }

  // A document that the caller made.
  async adopt(name, doc) {
    this.#docs.set(name, doc);
  }

  // A copy of `name` that edits as `peer`.
  async fork(name, copy, peer) {
    const doc = this.doc(name).fork();
    doc.setPeerId(peer);
    doc.configTextStyle(textStyles);
    this.#docs.set(copy, doc);
  }

  async free(name) {
    const doc = this.#docs.get(name);
    this.#docs.delete(name);
    try {
      doc?.free();
    } catch {
      // A document in which loro-crdt panicked, which has been reported, stays locked and cannot be freed.
    }
  }

  async import(name, bytes) {
    const status = this.doc(name).import(bytes);
    return {
      success: rangesToJson(status.success),
      pending: rangesToJson(status.pending),
    };
  }

  async export(name, mode, { from, frontiers, spans } = {}) {
    const doc = this.doc(name);
    switch (mode) {
      case "snapshot":
        return doc.export({ mode });
      case "shallow-snapshot":
        return doc.export({
          mode,
          frontiers: frontiers ?? doc.oplogFrontiers(),
        });
      case "updates-in-range":
        return doc.export({ mode, spans });
      default:
        return doc.export({
          mode: "update",
          from: from ? versionFromJson(from) : undefined,
        });
    }
  }

  async json(name) {
    return this.doc(name).toJSON();
  }

  async delta(name, container) {
    return openContainer(this.doc(name), container).toDelta();
  }

  async version(name) {
    const doc = this.doc(name);
    return {
      vv: Object.fromEntries(
        [...doc.oplogVersion().toJSON()].map(([peer, counter]) => [
          String(peer),
          counter,
        ]),
      ),
      frontiers: doc
        .oplogFrontiers()
        .map(({ peer, counter }) => ({ peer: String(peer), counter })),
    };
  }

  async commit(name, { message, timestamp } = {}) {
    this.doc(name).commit({ message, timestamp });
  }

  async checkout(name, frontiers) {
    this.doc(name).checkout(frontiers);
  }

  async checkoutToLatest(name) {
    this.doc(name).checkoutToLatest();
  }

  // Also `since` a version, which the contract does not offer.
  async jsonUpdates(name, since) {
    return this.doc(name).exportJsonUpdates(since && versionFromJson(since));
  }

  async edit(name, container, op) {
    const target = openContainer(this.doc(name), container);
    const [[verb, args]] = Object.entries(op);
    const editor = editors[target.kind()]?.[verb];
    if (!editor) throw new Error(`${target.kind()} has no op ${verb}`);
    return editor(target, args) ?? {};
  }

  async close() {
    for (const name of [...this.#docs.keys()]) await this.free(name);
  }
}

// The subprocess ended, or stopped answering, while requests were open.
export class WorkerDied extends Error {}

export class WorkerEngine {
  name = "worker";
  #command;
  #answerTimeoutMs;
  #process;
  #open = new Map();
  #nextId = 1;
  #died = null;
  #stderr = "";
  #watchdog;
  #lastAnswer = 0;
  #outbox = [];
  #partial = "";

  // `command` is [program, ...arguments]. A worker that leaves a request open for `answerTimeoutMs` is killed.
  constructor(command, { answerTimeoutMs = 30_000 } = {}) {
    this.#command = command;
    this.#answerTimeoutMs = answerTimeoutMs;
    this.#start();
  }

  #start() {
    const [program, ...args] = this.#command;
    const worker = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#process = worker;
    worker.on("error", (error) =>
      this.#fail(`cannot run ${program}: ${error.message}`),
    );
    worker.on("close", (code, signal) =>
      this.#fail(`exit code ${code}, signal ${signal}`),
    );
    worker.stdin.on("error", () => {}); // A broken pipe is followed by "close", which reports it.
    worker.stderr.setEncoding("utf8");
    worker.stderr.on("data", (text) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    worker.stdout.setEncoding("utf8");
    worker.stdout.on("data", (text) => this.#read(text));
    this.#watchdog = setInterval(() => {
      if (
        this.#open.size > 0 &&
        Date.now() - this.#lastAnswer > this.#answerTimeoutMs
      ) {
        this.#stderr += `\nno answer for ${this.#answerTimeoutMs} ms`;
        worker.kill("SIGKILL");
      }
    }, 500);
    this.#watchdog.unref();
  }

  #read(text) {
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop();
    for (const line of lines) this.#answer(line);
  }

  #answer(line) {
    this.#lastAnswer = Date.now();
    let answer;
    try {
      answer = JSON.parse(line);
    } catch {
      this.#stderr += `\nnot JSON: ${line.slice(0, 400)}`;
      this.#process.kill("SIGKILL");
      return;
    }
    const waiting = this.#open.get(answer.id);
    this.#open.delete(answer.id);
    if (!waiting) {
      this.#stderr += `\nanswer to nothing: ${line.slice(0, 400)}`;
      this.#process.kill("SIGKILL");
    } else if (answer.ok) {
      waiting.resolve(answer);
    } else {
      waiting.reject(
        new Error(
          `${waiting.what}: ${answer.error?.code}: ${answer.error?.message}`,
        ),
      );
    }
  }

  #fail(reason) {
    if (this.#died) return;
    clearInterval(this.#watchdog);
    this.#died = new WorkerDied(
      `worker died (${reason})${this.#stderr ? `: ${this.#stderr.trim()}` : ""}`,
    );
    for (const { reject } of this.#open.values()) reject(this.#died);
    this.#open.clear();
  }

  #call(request) {
    if (this.#died) return Promise.reject(this.#died);
    const id = this.#nextId;
    this.#nextId += 1;
    if (this.#open.size === 0) this.#lastAnswer = Date.now();
    return new Promise((resolve, reject) => {
      this.#open.set(id, {
        resolve,
        reject,
        what: `${request.cmd} ${request.doc}`,
      });
      if (this.#outbox.length === 0) setImmediate(() => this.#flush());
      this.#outbox.push(JSON.stringify({ id, ...request }), "\n");
    });
  }

  #flush() {
    this.#process.stdin.write(this.#outbox.join(""));
    this.#outbox = [];
  }

  create(doc, peer) {
    return this.#call({ cmd: "new", doc, peer });
  }

  free(doc) {
    return this.#call({ cmd: "free", doc });
  }

  async import(doc, bytes) {
    const { success, pending } = await this.#call({
      cmd: "import",
      doc,
      bytes: Buffer.from(bytes).toString("base64"),
    });
    return { success, pending };
  }

  async export(doc, mode, options) {
    const answer = await this.#call({ cmd: "export", doc, mode, ...options });
    return new Uint8Array(Buffer.from(answer.bytes, "base64"));
  }

  async json(doc) {
    return (await this.#call({ cmd: "json", doc })).value;
  }

  async delta(doc, container) {
    return (await this.#call({ cmd: "delta", doc, container })).value;
  }

  async version(doc) {
    const { vv, frontiers } = await this.#call({ cmd: "version", doc });
    return {
      vv,
      frontiers: frontiers.map(({ peer, counter }) => ({
        peer: String(peer),
        counter,
      })),
    };
  }

  commit(doc, options) {
    return this.#call({ cmd: "commit", doc, ...options });
  }

  checkout(doc, frontiers) {
    return this.#call({ cmd: "checkout", doc, frontiers });
  }

  checkoutToLatest(doc) {
    return this.#call({ cmd: "checkoutToLatest", doc });
  }

  async jsonUpdates(doc, since) {
    return (await this.#call({ cmd: "jsonUpdates", doc, from: since })).value;
  }

  async importJsonUpdates(doc, value) {
    const { success, pending } = await this.#call({
      cmd: "importJsonUpdates",
      doc,
      value,
    });
    return { success, pending };
  }

  edit(doc, container, op) {
    return this.#call({ cmd: "edit", doc, container, op });
  }

  // Any other command, such as those about deltas.
  request(cmd, doc, members) {
    return this.#call({ cmd, doc, ...members });
  }

  async close() {
    if (this.#died) return;
    const closed = new Promise((resolve) =>
      this.#process.once("close", resolve),
    );
    if (this.#outbox.length > 0) this.#flush();
    this.#process.stdin.end();
    const killer = setTimeout(() => this.#process.kill("SIGKILL"), 5000);
    await closed;
    clearTimeout(killer);
  }
}
