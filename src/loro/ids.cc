// SPDX-License-Identifier: Apache-2.0
#include "merrow/ids.h"

#include <array>
#include <atomic>
#include <charconv>
#include <cstdint>
#include <functional>

#include "base/bytes.h"

namespace merrow::loro {
namespace {

constexpr std::array<std::string_view, 6> kKindNames = {"Map",  "List",        "Text",
                                                        "Tree", "MovableList", "Counter"};
constexpr std::string_view kRootPrefix = "cid:root-";
constexpr std::string_view kNormalPrefix = "cid:";

template <typename T>
bool ParseNumber(std::string_view text, T* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::string ToString(const Id& id) {
  return std::to_string(id.counter) + "@" + std::to_string(id.peer);
}

Result<Id> ParseId(std::string_view text) {
  const size_t at = text.find('@');
  Id id;
  if (at == std::string_view::npos || !ParseNumber(text.substr(0, at), &id.counter) ||
      !ParseNumber(text.substr(at + 1), &id.peer) || id.counter < 0) {
    return InvalidArgument("\"" + Clip(text) + "\" is not an id like 12@34");
  }
  return id;
}

std::string ContainerKindName(ContainerKind kind) {
  if (IsKnown(kind)) return std::string(kKindNames[static_cast<size_t>(kind)]);
  return "Unknown(" + std::to_string(static_cast<int>(kind)) + ")";
}

Result<ContainerKind> ParseContainerKind(std::string_view name) {
  for (size_t i = 0; i < kKindNames.size(); ++i) {
    if (kKindNames[i] == name) return static_cast<ContainerKind>(i);
  }
  return InvalidArgument("\"" + Clip(name) + "\" is not a container kind");
}

// Documents of several threads may share a name.
struct ContainerId::Name {
  explicit Name(std::string_view name) : text(name) {}
  std::atomic<uint32_t> references = 1;
  const std::string text;
};

ContainerId ContainerId::Root(std::string_view name, ContainerKind kind) {
  static_assert(sizeof(Name*) <= sizeof(bits_));
  const auto bits = name.empty() ? 0 : reinterpret_cast<uintptr_t>(new Name(name));
  return ContainerId(kind, /*is_root=*/true, 0, bits);
}

ContainerId::Name* ContainerId::shared_name() const {
  return reinterpret_cast<Name*>(static_cast<uintptr_t>(bits_));
}

void ContainerId::Share() { shared_name()->references.fetch_add(1, std::memory_order_relaxed); }

void ContainerId::Release() {
  if (shared_name()->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete shared_name();
}

const std::string& ContainerId::name() const {
  static const std::string kEmpty;
  return HasName() ? shared_name()->text : kEmpty;
}

std::strong_ordering ContainerId::Compare(const ContainerId& a, const ContainerId& b) {
  if (a.is_root_ != b.is_root_) return a.is_root_ <=> b.is_root_;
  if (a.kind_ != b.kind_) return a.kind_ <=> b.kind_;
  if (a.is_root_) return a.name().compare(b.name()) <=> 0;
  return a.op() <=> b.op();
}

std::string ContainerId::ToString() const {
  if (is_root_) return std::string(kRootPrefix) + name() + ":" + ContainerKindName(kind_);
  return std::string(kNormalPrefix) + loro::ToString(op()) + ":" + ContainerKindName(kind_);
}

Result<ContainerId> ContainerId::Parse(std::string_view text) {
  // A root's name may hold colons: the kind is what follows the last one.
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && text.starts_with(kNormalPrefix) &&
      colon >= kNormalPrefix.size()) {
    MERROW_ASSIGN(const ContainerKind kind, ParseContainerKind(text.substr(colon + 1)));
    if (text.starts_with(kRootPrefix)) {
      return Root(text.substr(kRootPrefix.size(), colon - kRootPrefix.size()), kind);
    }
    MERROW_ASSIGN(const Id op,
                  ParseId(text.substr(kNormalPrefix.size(), colon - kNormalPrefix.size())));
    return Normal(op, kind);
  }
  return InvalidArgument("\"" + Clip(text) + "\" is not a container id");
}

size_t ContainerIdHash::operator()(const ContainerId& id) const {
  if (id.is_root()) {
    return std::hash<std::string_view>()(id.name()) * 31 + static_cast<size_t>(id.kind());
  }
  const uint64_t mixed =
      (id.op().peer ^ (static_cast<uint64_t>(id.op().counter) << 20)) * 0x9E3779B97F4A7C15U;
  return (mixed ^ (mixed >> 29)) + static_cast<size_t>(id.kind());
}

}  // namespace merrow::loro
