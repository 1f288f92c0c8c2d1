// SPDX-License-Identifier: Apache-2.0
//
// Reads the golden bytes in test/vectors/protocol; linked by tests only.

#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/bytes.h"

namespace merrow::sync {

inline nlohmann::json ReadVectors(const std::string& name) {
  std::ifstream file(std::string(MERROW_VECTORS) + "/protocol/" + name);
  EXPECT_TRUE(file.good()) << name;
  return nlohmann::json::parse(file);
}

inline Bytes UnHex(const nlohmann::json& text) { return FromHex(text.get<std::string>()).value(); }

}  // namespace merrow::sync
