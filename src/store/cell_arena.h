// SPDX-License-Identifier: Apache-2.0
//
// Copies of many short byte strings, such as keys, in a few large pieces that never move. All are
// let go of at once; the first piece is kept for the next time.

#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>

#include "merrow/bytes.h"

namespace merrow::store {

class CellArena {
 public:
  /// The copy. Valid until Clear().
  BytesView Add(BytesView bytes) {
    if (pieces_.empty() || pieces_.back().capacity() - pieces_.back().size() < bytes.size()) {
      const size_t piece_bytes = kFirstBytes << std::min(pieces_.size(), kDoublingsMax);
      pieces_.emplace_back().reserve(std::max(piece_bytes, bytes.size()));
    }
    Bytes& piece = pieces_.back();
    const size_t at = piece.size();
    piece.append(bytes);
    return BytesView(piece).substr(at);
  }

  void Clear() {
    if (!pieces_.empty()) {
      pieces_.erase(pieces_.begin() + 1, pieces_.end());
      pieces_.front().clear();
    }
  }

 private:
  static constexpr size_t kFirstBytes = 1 << 10;
  static constexpr size_t kDoublingsMax = 8;

  std::deque<Bytes> pieces_;
};

}  // namespace merrow::store
