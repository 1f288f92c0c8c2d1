// SPDX-License-Identifier: Apache-2.0
//
// Sites in network namespaces of their own, joined by cables that are slow, lose packets and can be cut. Needs root,
// `ip` (Debian: iproute2) and TUN devices. The cables are a program of ours (src/net/testing/cable.cc), since not every
// kernel has netem, and since a program can have a seed.
//
// A site answers its clients on the loopback of its namespace only, so a relay carries them there: a port of this
// process -> a Unix socket -> a helper inside the namespace -> the site.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { merrowBinary } from "./binary.mjs";
import { Site, sitesSchema } from "./site.mjs";

const helper = fileURLToPath(new URL("netns_relay.mjs", import.meta.url));
const peerPort = 7000;

const run = (command, ...args) =>
  execFileSync(command, args, { stdio: ["ignore", "pipe", "pipe"] });

// It is built beside the program under test.
function cableBinary() {
  const path = join(dirname(merrowBinary()), "merrow-test-cable");
  accessSync(path, constants.X_OK);
  return path;
}

// Why tests with namespaces cannot run here; false if they can. A cable that was not built is an error.
export function whyNoNamespaces() {
  if (process.getuid() !== 0) return "NOT RUN: network namespaces need root";
  cableBinary();
  const name = `merrow-probe-${process.pid}`;
  try {
    run("ip", "netns", "add", name);
    try {
      run("ip", "-n", name, "tuntap", "add", "dev", "probe", "mode", "tun");
    } finally {
      run("ip", "netns", "del", name);
    }
  } catch (error) {
    return `NOT RUN: no network namespaces or no TUN devices here: ${error.message}`;
  }
  return false;
}

// Namespaces and cables of one test, all gone when it ends.
export class Network {
  #t;
  #cables = 0;
  #names = new Map();

  constructor(t) {
    this.#t = t;
  }

  // The namespace called `label` here, made when it is first asked for.
  namespace(label) {
    if (!this.#names.has(label)) {
      const name = `merrow-${process.pid}-${label}`;
      run("ip", "netns", "add", name);
      this.#t.after(() => run("ip", "netns", "del", name));
      run("ip", "-n", name, "link", "set", "lo", "up");
      this.#names.set(label, name);
    }
    return this.#names.get(label);
  }

  // A cable between two namespaces. `quality` is {delayMs, jitterMs, lossPercent, seed}.
  async connect(from, to, quality) {
    const cable = new Cable(
      this.#cables,
      [this.namespace(from), this.namespace(to)],
      quality,
    );
    this.#cables += 1;
    this.#t.after(() => cable.dispose());
    await cable.start();
    return cable;
  }

  // A site in a namespace. It listens for sites on all of its cables.
  async startSite(label, options) {
    const directory = await mkdtemp(join(tmpdir(), "merrow-netns-"));
    const site = new NamespacedSite(directory, {
      name: label,
      namespace: this.namespace(label),
      ...options,
    });
    this.#t.after(() => site.dispose());
    await site.start();
    return site;
  }
}

class Cable {
  #device;
  #namespaces;
  #hosts;
  #quality;
  #process;
  // URLs at which the two ends reach each other.
  fromUrl;
  toUrl;

  constructor(index, namespaces, quality) {
    this.#device = `cable${index}`;
    this.#namespaces = namespaces;
    this.#hosts = [`10.77.${index}.1`, `10.77.${index}.2`];
    this.#quality = quality;
    [this.fromUrl, this.toUrl] = this.#hosts.map(
      (host) => `ws://${host}:${peerPort}`,
    );
  }

  async start() {
    const { delayMs, jitterMs, lossPercent, seed } = this.#quality;
    this.#process = spawn(
      cableBinary(),
      [
        ...[this.#device, ...this.#namespaces],
        ...[delayMs, jitterMs, lossPercent, seed].map(String),
      ],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    await Promise.race([
      once(this.#process.stdout, "data"),
      once(this.#process, "exit").then(([code]) => {
        throw new Error(`the cable ended with code ${code}`);
      }),
    ]);
    for (const [i, name] of this.#namespaces.entries()) {
      run(
        ...["ip", "-n", name, "addr", "add", this.#hosts[i]],
        ...["peer", this.#hosts[1 - i], "dev", this.#device],
      );
      run("ip", "-n", name, "link", "set", this.#device, "up");
    }
  }

  // Takes the device down on either side.
  cut() {
    for (const name of this.#namespaces)
      run("ip", "-n", name, "link", "set", this.#device, "down");
  }

  heal() {
    for (const name of this.#namespaces)
      run("ip", "-n", name, "link", "set", this.#device, "up");
  }

  dispose() {
    this.#process?.kill("SIGKILL");
  }
}

class NamespacedSite extends Site {
  #namespace;
  #relay = null;
  #helper = null;
  #sockets = new Set();

  constructor(directory, { name, namespace, peers = [], args = [] }) {
    super(directory, {
      name,
      peers,
      peerHost: "0.0.0.0",
      peerPort,
      schema: sitesSchema,
      extraArgs: args,
      prefix: ["ip", "netns", "exec", namespace],
    });
    this.#namespace = namespace;
  }

  get clientPort() {
    return this.#relay.address().port;
  }

  async start() {
    await super.start();
    if (this.#relay) return; // the port is the same as before
    const path = join(this.directory, "relay");
    this.#helper = spawn(
      "ip",
      [
        ...["netns", "exec", this.#namespace],
        ...[process.execPath, helper, path, String(this.port)],
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await once(this.#helper.stdout, "data"); // it listens
    this.#relay = createServer((client) => {
      const upstream = connect(path);
      for (const [socket, other] of [
        [client, upstream],
        [upstream, client],
      ]) {
        this.#sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
    });
    this.#relay.listen(0, "127.0.0.1");
    await once(this.#relay, "listening");
  }

  async dispose() {
    await super.dispose();
    this.#relay?.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#helper?.kill("SIGKILL");
  }
}
