// SPDX-License-Identifier: Apache-2.0
//
// Layer check: reads every #include under src/ and include/ and fails on an arrow that points up the layers.
//
// The layers and what each may include are the table below (docs/architecture.md explains it). A file's layer is
// the folder it is in. Before the real scan the checker is tried on includes that are known to be wrong, so a
// checker that sees nothing cannot pass.
//
// Usage: node test/layers_test.mjs [SOURCE_DIR]

import { readdirSync, readFileSync } from "node:fs";
import { dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

// layer: the layers below it that it may include. Every layer may include itself.
const mayInclude = {
  base: [],
  loro: ["base"],
  cells: ["base", "loro"],
  changeset: ["base", "loro", "cells"],
  capi: ["base", "loro"],
  store: ["base", "loro", "cells", "changeset"],
  extension: ["base", "loro", "cells", "changeset", "store"],
  sync: ["base", "loro"],
  replication: ["base", "loro", "cells", "changeset"],
  net: ["base"],
  server: [
    "base",
    "loro",
    "cells",
    "changeset",
    "store",
    "sync",
    "replication",
    "net",
  ],
  cli: [
    "base",
    "loro",
    "cells",
    "changeset",
    "store",
    "sync",
    "replication",
    "net",
    "server",
  ],
  testing: [
    "base",
    "loro",
    "cells",
    "changeset",
    "store",
    "sync",
    "replication",
    "net",
    "server",
  ],
};

// The layer of each public header, include/merrow/NAME.h.
const publicHeaders = {
  bytes: "base",
  check: "base",
  export: "base",
  result: "base",
  delta: "loro",
  document: "loro",
  ids: "loro",
  undo: "loro",
  value: "loro",
  version_vector: "loro",
};

// Libraries that only some layers may touch: the header, and the layers that own it.
const ownedHeaders = [
  { pattern: /^sqlite3(ext)?\.h$/, owners: ["store", "extension"] },
  { pattern: /^boost\/(asio|beast)/, owners: ["net", "server", "cli"] },
];

// Tests, and what only tests are built from: what a file is called tells it.
const testFile = /\/fuzz\/|_(test|prop|fuzz|fault|sim|test_util)\.(cc|h)$/;
const testHelper = /_test_util\.h$/;
const includeLine = /^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)/gm;

// The layer of "loro/ids.h" (a file under src/) or "merrow/ids.h" (a public header).
function layerOf(path) {
  const [folder, file] = path.split("/");
  return folder === "merrow" ? publicHeaders[file?.split(".")[0]] : folder;
}

// Returns one message for each include in `text` that the rules forbid. `path` is relative to src/.
function violations(path, text) {
  const layer = layerOf(path);
  const allowed = mayInclude[layer];
  if (!allowed)
    return [
      `${path}: "${layer}" is not a layer; add it to test/layers_test.mjs`,
    ];
  const isTest = testFile.test(path);
  const found = [];
  for (const match of text.matchAll(includeLine)) {
    const line = text.slice(0, match.index).split("\n").length;
    const where = `${path}:${line}`;
    const [, quoted, angled] = match;
    if (angled !== undefined) {
      for (const { pattern, owners } of ownedHeaders) {
        if (
          pattern.test(angled) &&
          !owners.includes(layer) &&
          layer !== "testing" &&
          !isTest
        ) {
          found.push(
            `${where}: <${angled}> belongs to ${owners.join(", ")}, not to ${layer}`,
          );
        }
      }
      continue;
    }
    if (quoted === "merrow.h" && layer === "capi") continue;
    if (testHelper.test(quoted) && !isTest && layer !== "testing") {
      found.push(`${where}: "${quoted}" is for tests`);
      continue;
    }
    const target = layerOf(quoted);
    if (!quoted.includes("/") || !(target in mayInclude)) {
      found.push(
        `${where}: "${quoted}" does not name a layer ("layer/file.h")`,
      );
      continue;
    }
    if (path.startsWith("merrow/") && !quoted.startsWith("merrow/")) {
      found.push(`${where}: a public header must not include "${quoted}"`);
      continue;
    }
    const fromTest = isTest && target === "testing";
    if (target !== layer && !allowed.includes(target) && !fromTest) {
      found.push(`${where}: ${layer} must not include ${target} ("${quoted}")`);
    }
  }
  return found;
}

// Includes that must be noticed, and some that must not.
const selfCheck = [
  { path: "base/a.h", text: '#include "loro/doc.h"\n', bad: 1 },
  {
    path: "store/a.cc",
    text: '#include "base/bytes.h"\n#include "sync/session.h"\n',
    bad: 1,
  },
  { path: "sync/a.cc", text: '#include "store/store.h"\n', bad: 1 },
  { path: "sync/a_test.cc", text: '#include "store/store.h"\n', bad: 1 },
  { path: "net/a.h", text: '  #  include "loro/doc.h"\n', bad: 1 },
  { path: "loro/a.cc", text: "#include <sqlite3.h>\n", bad: 1 },
  { path: "sync/a.cc", text: "#include <boost/asio.hpp>\n", bad: 1 },
  { path: "server/a.cc", text: '#include "cli/command.h"\n', bad: 1 },
  { path: "store/a.cc", text: '#include "testing/clock.h"\n', bad: 1 },
  { path: "store/a.cc", text: '#include "store/b_test_util.h"\n', bad: 1 },
  { path: "store/a.cc", text: '#include "store.h"\n', bad: 1 },
  { path: "net/a.cc", text: '#include "merrow/document.h"\n', bad: 1 },
  { path: "merrow/result.h", text: '#include "merrow/ids.h"\n', bad: 1 },
  { path: "merrow/document.h", text: '#include "loro/state.h"\n', bad: 1 },
  { path: "net/a.cc", text: '#include "merrow/result.h"\n', bad: 0 },
  { path: "attic/a.cc", text: "", bad: 1 },
  {
    path: "server/a.cc",
    text: '#include "net/http.h"\n#include "store/store.h"\n#include "sync/hub.h"\n',
    bad: 0,
  },
  {
    path: "store/a_test.cc",
    text: '#include "testing/clock.h"\n#include <sqlite3.h>\n',
    bad: 0,
  },
  {
    path: "base/a.h",
    text: '// #include "loro/doc.h" is forbidden here\n',
    bad: 0,
  },
];
for (const { path, text, bad } of selfCheck) {
  const found = violations(path, text);
  if (found.length !== bad) {
    console.error(
      `layer check is broken: ${JSON.stringify(text)} in ${path} gave ${JSON.stringify(found)}`,
    );
    process.exit(1);
  }
}

function* sources(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (
      [".h", ".cc", ".cpp", ".hpp", ".inc"].includes(extname(entry.name))
    )
      yield path;
  }
}

const project = resolve(
  process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), ".."),
);
let files = 0;
const found = [];
for (const folder of ["src", "include"]) {
  const root = join(project, folder);
  const before = files;
  for (const path of sources(root)) {
    files += 1;
    // The C header stands beside the folder of the others.
    const name = relative(root, path).replace(/^merrow\.h$/, "capi/merrow.h");
    found.push(...violations(name, readFileSync(path, "utf8")));
  }
  if (files === before) found.push(`no sources under ${root}`);
}
for (const message of found) console.error(message);
console.log(
  `layers: ${files} files, ${selfCheck.length} self-checks, ${found.length} forbidden includes`,
);
process.exit(found.length === 0 ? 0 : 1);
