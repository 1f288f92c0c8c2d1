// SPDX-License-Identifier: Apache-2.0
//
// What is behind Document's face; for the files that implement its methods, by theme:
// document.cc (reading), document_edit.cc (local edits).

#pragma once

#include "loro/document_core.h"

namespace merrow::loro {

struct Document::Impl {
  explicit Impl(PeerId peer) : core(peer) {}

  DocumentCore core;
};

}  // namespace merrow::loro
