// SPDX-License-Identifier: Apache-2.0
//
// A process of runSharded (differential.mjs): takes its share of the cases as a message and answers with the report of
// the first that fails, or null.

import { runShard } from "./differential.mjs";

process.once("message", async (share) => {
  const failure = await runShard(share);
  process.send(failure, () => process.exit(0));
});
