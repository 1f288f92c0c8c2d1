// SPDX-License-Identifier: Apache-2.0
//
// Valid inputs of the fuzz targets, taken from the blobs in test/vectors/loro/writers
// and the JSON updates beside them.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace merrow::loro {

/// By name of the target. `vectors` is the folder test/vectors.
std::map<std::string, std::vector<Bytes>> LoadFuzzSeeds(const std::string& vectors);

}  // namespace merrow::loro
