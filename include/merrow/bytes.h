// SPDX-License-Identifier: Apache-2.0
//
// Byte strings. Bytes are held as `char` so that text and bytes convert freely.

#pragma once

#include <string>
#include <string_view>

namespace merrow {

/// Bytes that somebody else owns.
using BytesView = std::string_view;
/// Owned bytes.
using Bytes = std::string;

}  // namespace merrow
