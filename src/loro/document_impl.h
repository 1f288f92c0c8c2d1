// SPDX-License-Identifier: Apache-2.0
//
// What is behind Document's face; for the files that implement its methods, by theme:
// document.cc (reading), document_edit.cc (local edits).

#pragma once

#include <memory>

#include "loro/document_core.h"

namespace merrow::loro {

struct Document::Impl {
  explicit Impl(PeerId peer) : core_(std::make_unique<DocumentCore>(peer)) {}

  DocumentCore& core() { return *core_; }

 private:
  std::unique_ptr<DocumentCore> core_;
};

}  // namespace merrow::loro
