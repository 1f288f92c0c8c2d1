# SPDX-License-Identifier: Apache-2.0
#
# Deltas between versions, events, cursors and undo.
target_sources(
  merrow_loro PRIVATE delta_editor.cc document_events.cc document_revert.cc edit_rope.cc
                      event_recorder.cc state_diff.cc text_attributes.cc tree_steps.cc)
merrow_test(loro_delta_test SOURCES delta_mirror_test_util.cc event_prop_test.cc state_diff_prop_test.cc
            DEPENDS merrow_loro)
