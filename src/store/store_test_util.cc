// SPDX-License-Identifier: Apache-2.0
#include "store/store_test_util.h"

#include <stdlib.h>

namespace merrow::store {

void Must(const Status& status) {
  if (!status.ok()) {
    ADD_FAILURE() << status.error().ToString();
    MERROW_CHECK(status.ok());
  }
}

TempDir::TempDir(DirKind kind) {
  const std::filesystem::path memory = "/dev/shm";
  const bool in_memory = kind == DirKind::kMemory && std::filesystem::is_directory(memory);
  const auto parent = in_memory ? memory : std::filesystem::temp_directory_path();
  std::string name = (parent / "merrow-store-XXXXXX").string();
  MERROW_CHECK(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

Bytes Editor::Take() {
  Bytes update = document_.ExportUpdates(sent_);
  sent_ = document_.version();
  return update;
}

StoreFixture::StoreFixture(DirKind kind) : dir_(kind) {
  options.path = path();
  options.schema_sql = kNoteSchema;
  options.clock = &clock;
}

Status StoreFixture::TryOpen() {
  MERROW_ASSIGN(store_, Store::Open(options));
  return {};
}

WriteResult StoreFixture::Apply(std::string_view table, std::string_view key, BytesView update) {
  const Write write{table, key, update};
  std::vector<WriteResult> results = store_->ApplyBatch({&write, 1});
  MERROW_CHECK(results.size() == 1);
  return std::move(results[0]);
}

Applied StoreFixture::MustApply(std::string_view table, std::string_view key, BytesView update) {
  WriteResult result = Apply(table, key, update);
  if (const Error* const error = std::get_if<Error>(&result)) {
    ADD_FAILURE() << error->ToString();
  }
  EXPECT_FALSE(std::holds_alternative<MissingDependencies>(result));
  MERROW_CHECK(std::holds_alternative<Applied>(result));
  return std::get<Applied>(std::move(result));
}

std::string StoreFixture::Sql(std::string_view sql) {
  const auto reader = Must(Reader::Open(path(), &clock));
  std::string text;
  const auto append_row = [&](std::span<const SqlValue> values) {
    text += text.empty() ? "" : "\n";
    for (size_t i = 0; i < values.size(); ++i) {
      text += i == 0 ? "" : "|";
      if (const auto* integer = std::get_if<int64_t>(&values[i])) {
        text += std::to_string(*integer);
      } else if (const auto* number = std::get_if<double>(&values[i])) {
        text += std::to_string(*number);
      } else if (const auto* string = std::get_if<std::string_view>(&values[i])) {
        text += *string;
      } else if (const auto* blob = std::get_if<SqlBlob>(&values[i])) {
        text += ToHex(blob->bytes);
      } else {
        text += "NULL";
      }
    }
    return true;
  };
  const QuerySink sink{[](std::span<const std::string_view>) { return true; }, append_row};
  Must(reader->Query(sql, {}, QueryLimits(), sink));
  return text;
}

ErrorCode CodeOf(const WriteResult& result) {
  const Error* const error = std::get_if<Error>(&result);
  EXPECT_NE(error, nullptr) << "the write did not fail";
  MERROW_CHECK(error != nullptr);
  return error->code();
}

}  // namespace merrow::store
