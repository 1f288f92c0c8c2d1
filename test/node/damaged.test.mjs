// SPDX-License-Identifier: Apache-2.0
//
// 10,000 truncated, bit-flipped, oversized and random messages thrown at the live server, on /sync, on /rows and over
// HTTP. It answers with errors or closes connections; the row under attack does not change, a client that was there
// all the time goes on editing, and the server lives.
//
// MERROW_SEED replays the damage, MERROW_BLOWS says how much.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { LoroDoc } from "loro-crdt";
import { CrdtType, MAX_MESSAGE_SIZE, MessageType, encode } from "loro-protocol";
import {
  Client,
  expectedRow,
  plain,
  withoutEmpty,
} from "./lib/loro_client.mjs";
import { ProtocolPeer, newBatchId } from "./lib/protocol_peer.mjs";
import { Random, seedFromEnvironment } from "./lib/random.mjs";
import { RowsClient, encodeFrame, pushFrame } from "./lib/rows_client.mjs";
import { startServer } from "./lib/server.mjs";
import { waitFor } from "./lib/wait.mjs";

const blows = Number(process.env.MERROW_BLOWS ?? 10_000);
const sameVersion = (a, b) => a.version().compare(b.version()) === 0;

// Breaks bytes in one way: cut short, one or a few bits flipped, a run overwritten, a piece doubled, or noise.
function damage(bytes, random) {
  const copy = Buffer.from(bytes);
  const at = random.below(Math.max(1, copy.length));
  switch (random.below(6)) {
    case 0:
      return copy.subarray(0, at);
    case 1:
      if (copy.length > 0) copy[at] ^= 1 << random.below(8);
      return copy;
    case 2:
      for (let i = 0; i < 6; i += 1)
        copy[random.below(copy.length)] ^= 1 << random.below(8);
      return copy;
    case 3:
      return copy.fill(
        random.pick([0, 255, 127]),
        at,
        Math.min(copy.length, at + 9),
      );
    case 4:
      return Buffer.concat([
        copy.subarray(0, at),
        copy.subarray(Math.max(0, at - 20)),
      ]);
    default:
      return Buffer.from(random.bytes(random.below(200)));
  }
}

// Updates and snapshots of other documents, which an attacker would damage.
function makeBlobs() {
  const doc = new LoroDoc();
  doc.setPeerId("77");
  doc.getText("body").insert(0, "damaged goods ".repeat(20));
  doc.getList("tags").push("x");
  doc.getMap("props").set("k", { deep: [1, 2] });
  doc.getCounter("votes").increment(1.5);
  doc.commit();
  return [doc.export({ mode: "update" }), doc.export({ mode: "snapshot" })];
}

// A blob without its checksum is refused at once; one with a right checksum over wrong bytes has to be read.
function withChecksum(blob) {
  const prime = [2654435761, 2246822519, 3266489917, 668265263, 374761393];
  const bytes = Buffer.from(blob);
  if (bytes.length < 22) return bytes;
  bytes.writeUInt32LE(xxh32(bytes.subarray(20), 0x4f524f4c, prime), 16);
  return bytes;
}

function xxh32(data, seed, [p1, p2, p3, p4, p5]) {
  const mul = Math.imul;
  const rotl = (x, r) => (x << r) | (x >>> (32 - r));
  let at = 0;
  let hash;
  if (data.length >= 16) {
    const lanes = [seed + p1 + p2, seed + p2, seed, seed - p1].map(
      (lane) => lane | 0,
    );
    for (; at + 16 <= data.length; at += 16) {
      for (let i = 0; i < 4; i += 1) {
        lanes[i] = mul(
          rotl((lanes[i] + mul(data.readInt32LE(at + 4 * i), p2)) | 0, 13),
          p1,
        );
      }
    }
    hash =
      (rotl(lanes[0], 1) +
        rotl(lanes[1], 7) +
        rotl(lanes[2], 12) +
        rotl(lanes[3], 18)) |
      0;
  } else {
    hash = (seed + p5) | 0;
  }
  hash = (hash + data.length) | 0;
  for (; at + 4 <= data.length; at += 4)
    hash = mul(rotl((hash + mul(data.readInt32LE(at), p3)) | 0, 17), p4);
  for (; at < data.length; at += 1)
    hash = mul(rotl((hash + mul(data[at], p5)) | 0, 11), p1);
  hash ^= hash >>> 15;
  hash = mul(hash, p2);
  hash ^= hash >>> 13;
  hash = mul(hash, p3);
  hash ^= hash >>> 16;
  return hash >>> 0;
}

// One attacker: keeps a connection as long as the server lets it, and opens the next one when it is closed.
class Attacker {
  #open;
  #greet;
  #peer = null;
  connections = 0;

  constructor(open, greet) {
    this.#open = open;
    this.#greet = greet;
  }

  async hit(bytes, isText = false) {
    if (
      !this.#peer ||
      this.#peer.closed ||
      this.#peer.socket.readyState !== this.#peer.socket.OPEN
    ) {
      this.#peer = await this.#open();
      this.connections += 1;
      await this.#greet(this.#peer);
    }
    await new Promise((resolve) =>
      this.#peer.socket.send(bytes, { binary: !isText }, resolve),
    );
    // Answers are not read one by one, but a server that is behind must not be flooded without end.
    await waitFor(
      "the attacker's messages leave",
      () => this.#peer.socket.bufferedAmount < 1 << 20 || this.#peer.closed,
    );
    this.#peer.received.length = 0;
  }
}

function httpBlow(server, bytes) {
  return new Promise((resolve) => {
    const socket = connect(server.port, "127.0.0.1", () => socket.end(bytes));
    socket.on("data", () => {});
    socket.on("error", resolve);
    socket.on("close", resolve);
    socket.setTimeout(5000, () => socket.destroy());
  });
}

test(
  `${blows} damaged messages are refused and the server still serves`,
  { timeout: 900_000 },
  async (t) => {
    const seed = seedFromEnvironment(Math.floor(Date.now() / 1000));
    t.diagnostic(`seed ${seed}`);
    const random = new Random(seed);
    const server = await startServer(t);
    const witness = await new Client(server, { name: "witness" }).join(
      "note",
      "victim",
    );
    witness.getText("body").insert(0, "untouched");
    witness.getMap("props").set("a", 1);
    witness.commit();
    await waitFor("the row is there", () => server.row("note", "victim"));
    const before = await server.row("note", "victim");
    const version = witness.version();

    const blobs = makeBlobs();
    // Damage that leaves a valid update would change the row, and rightly so; so the row's own good updates are not sent
    // here, and each blob is broken before it is wrapped.
    const brokenBlob = () => {
      const original = random.pick(blobs);
      for (;;) {
        const broken = damage(original, random);
        const blob = random.chance(0.6) ? withChecksum(broken) : broken;
        if (!isImportable(blob)) return blob;
      }
    };
    const room = "note/victim";
    const loroMessage = () => {
      const common = { crdt: CrdtType.Loro, roomId: room };
      const update = brokenBlob();
      switch (random.below(6)) {
        case 0:
          return damage(
            encode({
              ...common,
              type: MessageType.JoinRequest,
              auth: random.bytes(4),
              version: random.bytes(9),
            }),
            random,
          );
        case 1:
        case 2:
          return encode({
            ...common,
            type: MessageType.DocUpdate,
            updates: [update],
            batchId: newBatchId(),
          });
        case 3:
          return damage(
            encode({
              ...common,
              type: MessageType.DocUpdate,
              updates: [update, update],
              batchId: newBatchId(),
            }),
            random,
          );
        case 4:
          return damage(
            encode({
              ...common,
              type: MessageType.DocUpdateFragmentHeader,
              batchId: newBatchId(),
              fragmentCount: random.below(2 ** 31),
              totalSizeBytes: random.below(2 ** 31),
            }),
            random,
          );
        default:
          return damage(
            encode({
              ...common,
              type: MessageType.DocUpdateFragment,
              batchId: newBatchId(),
              index: random.below(2 ** 31),
              fragment: update,
            }),
            random,
          );
      }
    };
    const rowsMessage = () => {
      if (random.chance(0.3)) {
        const text = JSON.stringify({
          type: "crdt-subscribe",
          entity: "note",
          rowId: "victim",
          vv: "AAAA",
        });
        return {
          bytes: damage(Buffer.from(text), random).toString("latin1"),
          isText: true,
        };
      }
      const payload = Buffer.concat([
        Buffer.from(random.bytes(4)),
        brokenBlob(),
      ]);
      const frame = encodeFrame(pushFrame, "note", "victim", payload);
      return {
        bytes: random.chance(0.5)
          ? frame
          : damage(frame.subarray(0, 40), random),
        isText: false,
      };
    };
    const httpMessage = () => {
      const body = JSON.stringify({
        update: Buffer.from(brokenBlob()).toString("hex"),
      });
      const host = `Host: 127.0.0.1:${server.port}\r\nConnection: close\r\n`;
      const post = `POST /api/crdt/note/victim HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\n\r\n${body}`;
      if (random.chance(0.4)) return Buffer.from(post);
      const query = `POST /v1/queries HTTP/1.1\r\n${host}Content-Length: 17\r\n\r\n["SELECT 1", [1]]`;
      return damage(
        Buffer.from(
          random.pick([
            post,
            query,
            `GET /v1/rows/note/victim HTTP/1.1\r\n${host}\r\n`,
          ]),
        ),
        random,
      );
    };

    const onSync = new Attacker(
      () => ProtocolPeer.connect(t, server),
      (peer) => peer.join(room),
    );
    const onRows = new Attacker(
      () => RowsClient.connect(t, server),
      async () => {},
    );
    let oversized = 0;
    for (let blow = 0; blow < blows; blow += 1) {
      const target = random.below(100);
      if (blow % 500 === 250) {
        oversized += 1;
        const huge = Buffer.alloc(
          random.pick([MAX_MESSAGE_SIZE + 1, 4 << 20, 17 << 20]),
          random.pick(["%LOR", "\u0012\u0000"]),
        );
        await (oversized % 2 === 0 ? onSync : onRows).hit(huge);
      } else if (target < 45) {
        await onSync.hit(loroMessage(), random.chance(0.02));
      } else if (target < 90) {
        const { bytes, isText } = rowsMessage();
        await onRows.hit(bytes, isText);
      } else {
        await httpBlow(server, httpMessage());
      }
      if (blow % 1000 === 999) {
        assert.deepEqual(
          await server.row("note", "victim"),
          before,
          `after blow ${blow}, seed ${seed}`,
        );
      }
    }

    // Connections keep their order, so an answer to a last good message means that everything before it was handled.
    const last = await ProtocolPeer.connect(t, server);
    const joined = await last.join(room);
    assert.equal(joined.type, MessageType.JoinResponseOk);
    await last.settled();
    assert.deepEqual(await server.row("note", "victim"), before);
    assert.equal(witness.version().compare(version), 0);

    witness.getText("body").insert(0, "and alive, ");
    witness.commit();
    const fresh = await new Client(server).join("note", "victim");
    await waitFor("a newcomer has the witness's edit", () =>
      sameVersion(fresh, witness),
    );
    assert.deepEqual(plain(fresh), plain(witness));
    const { code } = await server.stop("SIGTERM");
    assert.equal(code, 0, server.tail());
    await server.start();
    assert.deepEqual(
      withoutEmpty(await server.row("note", "victim")),
      expectedRow("victim", witness),
    );
    t.diagnostic(
      `${onSync.connections} connections to /sync, ${onRows.connections} to /rows, ${oversized} oversized`,
    );
  },
);

// Whether loro-crdt would take the blob: then it is no damage.
function isImportable(blob) {
  const doc = new LoroDoc();
  try {
    doc.import(blob);
    return true;
  } catch {
    return false;
  } finally {
    doc.free();
  }
}
