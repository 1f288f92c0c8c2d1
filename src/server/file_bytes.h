// SPDX-License-Identifier: Apache-2.0
//
// File bytes: a whole file that the server reads when it starts.

#pragma once

#include <cstddef>
#include <string>

#include "base/bytes.h"
#include "merrow/result.h"

namespace merrow::server {

/// Io if the file cannot be read (it is missing, a directory, not permitted); limit if it is longer
/// than `bytes_max`.
Result<Bytes> ReadFileBytes(const std::string& path, size_t bytes_max);

/// Whether users beside the owner may read the file. False if it is not there.
bool OthersMayRead(const std::string& path);

}  // namespace merrow::server
