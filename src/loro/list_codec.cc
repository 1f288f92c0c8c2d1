// SPDX-License-Identifier: Apache-2.0
//
// State of a list (state_codec.h):
//
//   uleb count | value ...
//   peers
//   1 field | 3 columns with a row per value: its full id

#include <array>

#include "loro/state_codec.h"
#include "loro/state_columns.h"
#include "loro/value_codec.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

Error Bad(const char* what) { return Corruption(std::string("list state: ") + what); }

// Whether `next` continues `run`, for which its length must stay within 31 bits.
bool Continues(const AtomRun& run, const FullId& next) {
  return next.id.peer == run.id.peer &&
         next.id.counter - run.id.counter == static_cast<int64_t>(run.length) &&
         next.lamport == run.lamport + run.length;
}

}  // namespace

Result<ListImage> DecodeListState(BytesView state) {
  ByteReader reader(state);
  ListImage image;
  MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
  if (count > reader.remaining()) return reader.Fail("list state: count is past the end");
  image.values.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    MERROW_ASSIGN(Value value, ReadStateValue(reader));
    image.values.push_back(std::move(value));
  }
  MERROW_ASSIGN(const PeerTable peers, PeerTable::Read(reader));

  Cursor cursor(reader.rest());
  if (!ExpectFields(cursor, 1)) return Bad("not one field");
  std::array<BytesView, 3> columns;
  MERROW_TRY(ReadColumns(cursor, columns));
  if (!cursor.empty()) return Bad("bytes after the columns");
  FullIdDecoder ids(columns[0], columns[1], columns[2]);
  for (uint64_t i = 0; i < count; ++i) {
    FullId next;
    if (!ids.Next(peers, &next)) return Bad("malformed ids");
    if (!image.runs.empty() && Continues(image.runs.back(), next)) {
      ++image.runs.back().length;
    } else {
      image.runs.push_back({next.id, next.lamport, 1});
    }
  }
  if (!ids.AtEnd()) return Bad("more ids than values");
  return image;
}

Bytes EncodeListState(const ListImage& image) {
  ByteWriter writer;
  writer.Uleb(image.values.size());
  for (const Value& value : image.values) WriteStateValue(writer, value);

  PeerRegister peers;
  FullIdEncoder ids;
  size_t id_count = 0;
  for (const AtomRun& run : image.runs) {
    for (uint32_t i = 0; i < run.length; ++i) {
      ids.Append(peers, run.id.Plus(static_cast<Counter>(i)), run.lamport + i);
    }
    id_count += run.length;
  }
  MERROW_CHECK(id_count == image.values.size());
  peers.Write(writer);
  std::array<Bytes, 3> columns;
  ids.Finish(&columns[0], &columns[1], &columns[2]);
  writer.Uleb(1);
  WriteColumns(writer, columns);
  return writer.Release();
}

}  // namespace merrow::loro
