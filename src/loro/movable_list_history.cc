// SPDX-License-Identifier: Apache-2.0
#include "loro/movable_list_history.h"

#include <string>
#include <utility>

namespace merrow::loro {

size_t MovableListHistory::IdLpHash::operator()(const IdLp& id) const {
  const uint64_t mixed =
      (id.peer ^ (uint64_t{id.lamport} << 32 | id.lamport)) * 0x9e3779b97f4a7c15U;
  return static_cast<size_t>(mixed ^ (mixed >> 32));
}

void MovableListHistory::AddBase(const MovableListState& base) {
  base.ForEach([this](const MovableListItem& item) {
    elements_[item.element()] = {.write = {nullptr, nullptr, &item.value, 0, item.last_set()},
                                 .position = item.idlp(),
                                 .inserted = true};
  });
}

void MovableListHistory::Add(const OpSlice& slice) {
  const Op& op = *slice.op;
  const IdLp writer{slice.lamport, slice.block->peer};
  switch (op.kind) {
    case OpKind::kListInsert:
      for (uint32_t i = 0; i < slice.length; ++i) {
        const IdLp name{writer.lamport + i, writer.peer};
        Element& element = elements_[name];
        element.inserted = true;
        element.position = std::max(element.position, name);
        if (!element.write.exists() || element.write.writer < name) {
          element.write = {slice.block, &op, nullptr, slice.skip + i, name};
        }
      }
      return;
    case OpKind::kMove: {
      Element& element = elements_[op.element];
      element.position = std::max(element.position, writer);
      return;
    }
    case OpKind::kSet: {
      Element& element = elements_[op.element];
      if (!element.write.exists() || element.write.writer < writer) {
        element.write = {slice.block, &op, nullptr, 0, writer};
      }
      return;
    }
    default:
      return;
  }
}

Result<ElementHistory> MovableListHistory::Find(IdLp element) const {
  const auto found = elements_.find(element);
  if (found == elements_.end() || !found->second.inserted) {
    return Corruption("movable list: no element with lamport " + std::to_string(element.lamport) +
                      " of peer " + std::to_string(element.peer));
  }
  const Write& write = found->second.write;
  ElementHistory history{.value = {}, .last_set = write.writer, .position = found->second.position};
  if (write.base != nullptr) {
    history.value = *write.base;
  } else if (write.op->kind == OpKind::kSet) {
    MERROW_ASSIGN(history.value, OpValue(*write.block, *write.op));
  } else {
    MERROW_ASSIGN(std::vector<Value> values, OpValues(*write.block, *write.op));
    history.value = std::move(values[write.atom]);
  }
  return history;
}

}  // namespace merrow::loro
