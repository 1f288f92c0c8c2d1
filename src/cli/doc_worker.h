// SPDX-License-Identifier: Apache-2.0
//
// `merrow doc worker`: drives the document engine from any language, by JSON lines. One request per
// line on `in`, one answer per line on `out`; the request's `id` is echoed. Documents are named by
// the caller and live until they are freed or the worker ends. docs/doc-worker.md lists the
// commands.

#pragma once

#include <iosfwd>

namespace merrow::cli {

/// Serves until `in` ends. Returns the process's exit code.
int RunDocWorker(std::istream& in, std::ostream& out);

}  // namespace merrow::cli
