# SPDX-License-Identifier: Apache-2.0
#
# The engine against the full replay model; and canary builds of that test, each with one tie-break
# that is wrong (tie_break.h), in which it must fail.
add_library(loro_full_replay OBJECT full_replay_model.cc full_replay_prop_test.cc)
target_link_libraries(loro_full_replay PUBLIC merrow_loro GTest::gmock_main)
merrow_test(loro_full_replay_test SOURCES $<TARGET_OBJECTS:loro_full_replay> DEPENDS merrow_loro)

# loro_canary_RULE: the test with its own copy of the one source that decides by RULE, which the
# linker takes instead of the library's.
add_custom_target(canaries)
foreach(canary IN ITEMS sequence:sequence_tracker map:map_state mark:text_state
                        movable:movable_list_state tree:tree_state)
  string(REGEX REPLACE ":.*$" "" rule ${canary})
  string(REGEX REPLACE "^.*:" "" source ${canary})
  string(TOUPPER ${rule} macro)
  add_executable(loro_canary_${rule} EXCLUDE_FROM_ALL ${source}.cc
                                                      $<TARGET_OBJECTS:loro_full_replay>)
  target_compile_definitions(loro_canary_${rule} PRIVATE MERROW_CANARY_${macro})
  target_link_libraries(loro_canary_${rule} PRIVATE merrow_loro GTest::gmock_main)
  add_dependencies(canaries loro_canary_${rule})
endforeach()
