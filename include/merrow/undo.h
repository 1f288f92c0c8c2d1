// SPDX-License-Identifier: Apache-2.0
//
// Undo: takes back the local edits of a document, step by step, while what others did stays.
//
// A step is what one commit made, or several commits close in time. Undo makes edits that restore
// what the step changed: what it inserted goes, what it deleted comes back as a copy, and values
// get back what they were, also if somebody else has set them meanwhile. Edits of others move the
// places. Redo takes back an undo in the same way.
//
//   UndoManager undo(&document, {.merge_interval_ms = 500, .now_ms = ...});
//   document.TextInsert(body, 0, "hello");
//   document.Commit();
//   undo.Undo();
//
// As loro-crdt's UndoManager, but for its origins and its metadata.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "merrow/document.h"

#pragma GCC visibility push(default)
namespace merrow::loro {

struct UndoOptions {
  /// Commits less than this after a step began are part of it, unless an import came in between. 0:
  /// every commit is a step.
  int64_t merge_interval_ms = 0;
  /// The clock for that, of any epoch. Without one all commits are at time 0.
  std::function<int64_t()> now_ms;
  /// Only so many steps can be undone; older ones are forgotten.
  size_t step_count_max = 100;
};

class UndoManager {
 public:
  /// Steps are the commits from now on. Commits first. `document` must outlive this, stay where it
  /// is and keep its peer.
  explicit UndoManager(Document* document, UndoOptions options = {});
  ~UndoManager();
  UndoManager(UndoManager&&) noexcept;
  UndoManager& operator=(UndoManager&&) noexcept;

  bool can_undo() const;
  bool can_redo() const;
  size_t undo_count() const;
  size_t redo_count() const;

  /// Takes back the latest step, and further ones if that changed nothing, as edits of their own,
  /// and commits. False if nothing is left. Commits before, which makes the open edits a step.
  /// Conflict if an earlier version is shown; limit if the document has no room for the edits.
  /// Cost: that of two versions (Document::Checkout), and of what the step and later imports
  /// changed.
  Result<bool> Undo();
  Result<bool> Redo();

  /// All commits until EndGroup are one step, if no import comes in between.
  void BeginGroup();
  void EndGroup();
  /// While not recording, commits are treated as if somebody else had made them. Commits first.
  void SetRecording(bool is_recording);
  /// Forgets all steps. Commits first.
  void Clear();

 private:
  Result<bool> Perform(bool is_undo);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace merrow::loro
#pragma GCC visibility pop
