// SPDX-License-Identifier: Apache-2.0
//
// The names of things inside a document: peers, ops, containers.
//
// A peer (one editing session of one device) numbers its ops 0, 1, 2, ... An op that inserts n
// characters or n list items uses n consecutive counters, one per atom. Lamport timestamps order
// ops of different peers: an op's lamport is larger than that of every op it has seen.

#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "merrow/bytes.h"
#include "merrow/result.h"

#pragma GCC visibility push(default)

namespace merrow::loro {

/// 64 random bits that name a peer. All values but kNoPeer are allowed; compared as unsigned.
using PeerId = uint64_t;
/// Reserved by the format: the peer of the tree's deleted root.
inline constexpr PeerId kNoPeer = UINT64_MAX;

/// Index of an atom among a peer's atoms, in [0, 2^31).
using Counter = int32_t;

/// Logical time, in [0, 2^31).
using Lamport = uint32_t;

/// Names one atom of the document for ever.
struct Id {
  PeerId peer = 0;
  Counter counter = 0;

  Id Plus(Counter delta) const { return {peer, counter + delta}; }
  friend auto operator<=>(const Id&, const Id&) = default;
};

/// Names one atom by its position in the total order; the larger one wins a conflict.
struct IdLp {
  Lamport lamport = 0;
  PeerId peer = 0;

  friend auto operator<=>(const IdLp&, const IdLp&) = default;
};

/// Half-open range [start, end) of one peer's counters.
struct IdSpan {
  PeerId peer = 0;
  Counter start = 0;
  Counter end = 0;

  Counter length() const { return end - start; }
  friend auto operator<=>(const IdSpan&, const IdSpan&) = default;
};

/// "counter@peer", as Loro prints ids.
std::string ToString(const Id& id);
Result<Id> ParseId(std::string_view text);

/// Kind of a container. The numbers are those of change blocks and of state keys.
/// DO NOT CHANGE: they are on the wire and on disk.
enum class ContainerKind : uint8_t {
  kMap = 0,
  kList = 1,
  kText = 2,
  kTree = 3,
  kMovableList = 4,
  kCounter = 5,
  // Any other value, up to 127: a kind of a later release, kept verbatim.
};

inline bool IsKnown(ContainerKind kind) { return static_cast<uint8_t>(kind) <= 5; }

/// "Map", "List", ...; "Unknown(n)" for kinds of later releases.
std::string ContainerKindName(ContainerKind kind);
Result<ContainerKind> ParseContainerKind(std::string_view name);

/// A root container's name has at most this many bytes, so that its key fits a snapshot's.
inline constexpr size_t kRootNameBytesMax = 65531;

/// Names a container: a root by name and kind, any other by the op that created it and its kind.
/// Two sides that touch the same root concurrently touch the same container. Small and cheap to
/// copy: a root's name is shared by the copies.
class ContainerId {
 public:
  /// The root Map without a name.
  ContainerId() = default;
  static ContainerId Root(std::string_view name, ContainerKind kind);
  static ContainerId Normal(Id op, ContainerKind kind) {
    return ContainerId(kind, /*is_root=*/false, op.counter, op.peer);
  }
  ContainerId(const ContainerId& other)
      : ContainerId(other.kind_, other.is_root_, other.counter_, other.bits_) {
    if (HasName()) Share();
  }
  ContainerId(ContainerId&& other) noexcept { swap(*this, other); }
  ContainerId& operator=(ContainerId other) noexcept {
    swap(*this, other);
    return *this;
  }
  ~ContainerId() {
    if (HasName()) Release();
  }
  friend void swap(ContainerId& a, ContainerId& b) noexcept {
    std::swap(a.kind_, b.kind_);
    std::swap(a.is_root_, b.is_root_);
    std::swap(a.counter_, b.counter_);
    std::swap(a.bits_, b.bits_);
  }

  bool is_root() const { return is_root_; }
  ContainerKind kind() const { return kind_; }
  /// REQUIRES: is_root()
  const std::string& name() const;
  /// REQUIRES: !is_root()
  Id op() const { return {bits_, counter_}; }

  /// Loro's id text: "cid:root-body:Text" or "cid:12@34:Map".
  std::string ToString() const;
  static Result<ContainerId> Parse(std::string_view text);

  friend bool operator==(const ContainerId& a, const ContainerId& b) {
    if (a.kind_ != b.kind_ || a.is_root_ != b.is_root_) return false;
    if (a.bits_ == b.bits_) return a.counter_ == b.counter_;
    return a.is_root_ && a.name() == b.name();
  }
  /// Others before roots, then by kind, then by op or name.
  friend std::strong_ordering operator<=>(const ContainerId& a, const ContainerId& b) {
    return Compare(a, b);
  }

 private:
  struct Name;  // a text and how many ids share it

  ContainerId(ContainerKind kind, bool is_root, Counter counter, uint64_t bits)
      : kind_(kind), is_root_(is_root), counter_(counter), bits_(bits) {}

  bool HasName() const { return is_root_ && bits_ != 0; }
  Name* shared_name() const;
  void Share();
  void Release();
  static std::strong_ordering Compare(const ContainerId& a, const ContainerId& b);

  ContainerKind kind_ = ContainerKind::kMap;
  bool is_root_ = true;
  Counter counter_ = 0;  // 0 of a root
  uint64_t bits_ = 0;    // the op's peer, or a pointer to the root's name, 0 if that is empty
};
static_assert(sizeof(ContainerId) == 16);

struct ContainerIdHash {
  size_t operator()(const ContainerId& id) const;
};

}  // namespace merrow::loro

#pragma GCC visibility pop
