// SPDX-License-Identifier: Apache-2.0
//
// The workloads of engine_workloads, by theme. Each Find gives what a name stands for, or nothing.
// bench/peers/src does the same with other engines.

#pragma once

#include <functional>
#include <string_view>

#include "engine_data.h"

namespace merrow::bench {

using Workload = std::function<Report(const Data&)>;

/// Texts: replay, import, export, growth.
Workload FindText(std::string_view name);
/// Small updates of a row, a board and a text; what is sent to who is behind; JSON; memory.
Workload FindExchange(std::string_view name);
/// Maps, trees, movable lists.
Workload FindStructure(std::string_view name);

// How a workload ends: with the hash of what it made.
using Check = std::string (*)(const loro::Document&);

/// Time to import a blob into a new document.
Report MeasureImport(BytesView blob, size_t operations, Check check);
Report MeasureSnapshotExport(BytesView blob, Check check);
/// Of a document that was exported before, after one more edit.
Report MeasureSnapshotExportAgain(BytesView blob);

/// The number that `name` ends with if it starts with `prefix`, otherwise 0.
size_t SizeAfter(std::string_view name, std::string_view prefix);

}  // namespace merrow::bench
