// SPDX-License-Identifier: Apache-2.0
//
// Bundles the page into a folder that any static file server can hand out: index.html, main.js, style.css and
// loro-crdt's WebAssembly file, which the bundle loads from beside itself.
//
// Usage: node build.mjs OUTPUT_DIRECTORY

import { build } from "esbuild";
import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const output = resolve(process.argv[2] ?? join(here, "../../build/demo"));

await mkdir(output, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: ["src/main.ts", "src/style.css"],
  outdir: output,
  bundle: true,
  format: "esm",
  target: "es2022",
  platform: "browser",
  minify: true,
  sourcemap: true,
  logLevel: "warning",
});
await copyFile(
  join(here, "node_modules/loro-crdt/browser/loro_wasm_bg.wasm"),
  join(output, "loro_wasm_bg.wasm"),
);
// Last, because its date says that the whole folder is fresh.
await copyFile(join(here, "src/index.html"), join(output, "index.html"));
console.log(`demo page built in ${output}`);
