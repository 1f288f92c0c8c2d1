# SPDX-License-Identifier: Apache-2.0
#
# Deltas between versions, events, cursors and undo.
target_sources(
  merrow_loro
  PRIVATE cursor.cc delta_editor.cc delta_transform.cc document_events.cc document_revert.cc
          edit_rope.cc event_recorder.cc state_diff.cc text_attributes.cc tree_steps.cc
          undo_manager.cc)
merrow_test(
  loro_delta_test SOURCES cursor_prop_test.cc delta_mirror_test_util.cc event_prop_test.cc
                          state_diff_prop_test.cc undo_prop_test.cc
  DEPENDS merrow_loro)
