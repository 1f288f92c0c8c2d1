// SPDX-License-Identifier: Apache-2.0
//
// Where the program under test is: MERROW_BIN, or the release build. A missing binary is an error, never a skip.

import { accessSync, constants } from "node:fs";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../../../", import.meta.url));

export function merrowBinary() {
  const path = process.env.MERROW_BIN ?? `${repository}build/release/merrow`;
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new Error(
      `${path} is not there or not executable; build it, or name it in MERROW_BIN`,
    );
  }
  return path;
}
