// SPDX-License-Identifier: Apache-2.0
//
// Waiting for a condition, with a deadline. Tests wait for what they need and never for a time.

// Resolves to the first truthy value of `probe` (which may be async and may throw while things are not there yet).
// After `timeoutMs` it throws, with `what` and the last failure.
export async function waitFor(
  what,
  probe,
  { timeoutMs = 30_000, everyMs = 10 } = {},
) {
  const deadline = Date.now() + timeoutMs;
  let last = "it stayed false";
  for (;;) {
    try {
      const value = await probe();
      if (value) return value;
      last = "it stayed false";
    } catch (error) {
      last = error.message;
    }
    if (Date.now() > deadline) {
      throw new Error(`not within ${timeoutMs} ms: ${what} (${last})`);
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
