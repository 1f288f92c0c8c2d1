// SPDX-License-Identifier: Apache-2.0
//
// Fractional index: the position of a tree node among its siblings, a byte string that compares
// bytewise. Between any two different ones there is another, so a node moves without touching its
// siblings.
//
// Every well-formed one ends in the byte 0x80. Without it, it reads as a fraction in base 256 whose
// digits go on with 0x80 for ever. Peers only compare them; the rules here are Loro's, so that
// equal edits give equal bytes.
//
// DO NOT CHANGE: the bytes are on the wire and on disk.

#pragma once

#include <optional>
#include <vector>

#include "base/bytes.h"

namespace merrow::loro {

/// Of the only child.
inline constexpr BytesView kFirstFractionalIndex = "\x80";

/// One between `left` and `right`, where nothing means no neighbour on that side. Nothing if there
/// is none: they are equal, in the wrong order, or not well-formed.
std::optional<Bytes> FractionalIndexBetween(std::optional<BytesView> left,
                                            std::optional<BytesView> right);

/// `count` of them, ascending, by halving. Nothing if there is no room.
std::optional<std::vector<Bytes>> FractionalIndexesBetween(std::optional<BytesView> left,
                                                           std::optional<BytesView> right,
                                                           size_t count);

/// As Loro prints it: upper-case hex.
void AppendFractionalIndexHex(BytesView index, std::string* out);

}  // namespace merrow::loro
