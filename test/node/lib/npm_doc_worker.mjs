// SPDX-License-Identifier: Apache-2.0
//
// The JSON-lines contract of `merrow doc worker`, answered by npm loro-crdt: what the differential harness is tried
// on. With MERROW_WORKER_BUG it answers wrongly in one way, which the harness must notice:
//   text   a text insert at position 2 lands at position 1
//   vv     a version vector leaves out its last peer once it has three
//   crash  the process ends at the first snapshot of more than 600 bytes
//   checkout  a checkout to a version with two heads looks at the first
//   message   commit messages of more than four characters are forgotten

import { createInterface } from "node:readline";
import { LoroEngine } from "./doc_engines.mjs";

const engine = new LoroEngine();
const bug = process.env.MERROW_WORKER_BUG ?? "";

const commands = {
  new: ({ doc, peer }) => engine.create(doc, peer),
  free: ({ doc }) => engine.free(doc),
  import: ({ doc, bytes }) =>
    engine.import(doc, new Uint8Array(Buffer.from(bytes, "base64"))),
  async export({ doc, mode, ...options }) {
    const bytes = await engine.export(doc, mode, options);
    if (bug === "crash" && mode === "snapshot" && bytes.length > 600)
      process.exit(70);
    return { bytes: Buffer.from(bytes).toString("base64") };
  },
  json: async ({ doc }) => ({ value: await engine.json(doc) }),
  delta: async ({ doc, container }) => ({
    value: await engine.delta(doc, container),
  }),
  async version({ doc }) {
    const version = await engine.version(doc);
    const peers = Object.keys(version.vv);
    if (bug === "vv" && peers.length > 2) delete version.vv[peers.at(-1)];
    return version;
  },
  commit({ doc, message, timestamp }) {
    if (bug === "message" && message?.length > 4) message = undefined;
    return engine.commit(doc, { message, timestamp });
  },
  checkout({ doc, frontiers }) {
    if (bug === "checkout") frontiers = frontiers.slice(0, 1);
    return engine.checkout(doc, frontiers);
  },
  checkoutToLatest: ({ doc }) => engine.checkoutToLatest(doc),
  jsonUpdates: async ({ doc }) => ({ value: await engine.jsonUpdates(doc) }),
  edit({ doc, container, op }) {
    if (bug === "text" && container.endsWith(":Text") && op.insert?.[0] === 2)
      op.insert[0] = 1;
    return engine.edit(doc, container, op);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  let id = null;
  try {
    const request = JSON.parse(line);
    id = request.id;
    const command = commands[request.cmd];
    if (!command) throw new Error(`no command "${request.cmd}"`);
    process.stdout.write(
      `${JSON.stringify({ id, ok: true, ...(await command(request)) })}\n`,
    );
  } catch (error) {
    const problem = {
      code: "invalid_argument",
      message: String(error?.message ?? error),
    };
    process.stdout.write(
      `${JSON.stringify({ id, ok: false, error: problem })}\n`,
    );
  }
}
