// SPDX-License-Identifier: Apache-2.0
//
// State of a movable list (state_codec.h):
//
//   uleb count | value ...                  of the visible items
//   peers
//   4 fields |
//     3 columns with a row in front and one per visible item: how many invisible items follow it;
//       whether its element is named after the item; whether its value is the element's first
//     3 columns with a row per item: its full id
//     2 columns: peer index and lamport of the elements that are not named after their item
//     2 columns: peer index and lamport of the last writes that are not the first

#include <array>
#include <cstdint>
#include <string>

#include "loro/state_codec.h"
#include "loro/state_columns.h"
#include "loro/value_codec.h"
#include "merrow/check.h"

namespace merrow::loro {
namespace {

constexpr uint64_t kFields = 4;

// Invisible items take no bytes of their own when their ids are regular. They are what concurrent
// moves leave behind, so that many of them without many bytes of values is not a document.
constexpr size_t kInvisibleItemsFree = 262'144;
constexpr size_t kInvisibleItemsPerByte = 8;

Error Bad(const char* what) { return Corruption(std::string("movable list state: ") + what); }

class IdLpDecoder {
 public:
  IdLpDecoder(BytesView peer, BytesView lamport) : peer_(peer), lamport_(lamport) {}

  bool Next(const PeerTable& peers, IdLp* out) {
    uint64_t peer_index = 0;
    return peer_.Next(&peer_index) && lamport_.Next(&out->lamport) &&
           peers.Get(peer_index, &out->peer);
  }
  bool AtEnd() const { return peer_.AtEnd() && lamport_.AtEnd(); }

 private:
  DeltaRleDecoder<uint64_t> peer_;
  DeltaRleDecoder<uint32_t> lamport_;
};

class IdLpEncoder {
 public:
  void Append(PeerRegister& peers, IdLp id) {
    peer_.Append(peers.Index(id.peer));
    lamport_.Append(id.lamport);
  }
  std::array<Bytes, 2> Finish() { return {peer_.Finish(), lamport_.Finish()}; }

 private:
  DeltaRleEncoder<uint64_t> peer_;
  DeltaRleEncoder<uint32_t> lamport_;
};

class Decoder {
 public:
  Decoder(const PeerTable& peers, size_t invisible_max) : peers_(peers), left_(invisible_max) {}

  Status ReadColumnsOf(BytesView bytes) {
    Cursor cursor(bytes);
    if (!ExpectFields(cursor, kFields)) return Bad("not four fields");
    std::array<BytesView, 3> items;
    MERROW_TRY(ReadColumns(cursor, items));
    std::array<BytesView, 3> ids;
    MERROW_TRY(ReadColumns(cursor, ids));
    std::array<BytesView, 2> elements;
    MERROW_TRY(ReadColumns(cursor, elements));
    std::array<BytesView, 2> last_sets;
    MERROW_TRY(ReadColumns(cursor, last_sets));
    if (!cursor.empty()) return Bad("bytes after the columns");
    invisible_ = DeltaRleDecoder<uint64_t>(items[0]);
    element_is_item_ = BoolRleDecoder(items[1]);
    last_set_is_element_ = BoolRleDecoder(items[2]);
    ids_ = FullIdDecoder(ids[0], ids[1], ids[2]);
    elements_ = IdLpDecoder(elements[0], elements[1]);
    last_sets_ = IdLpDecoder(last_sets[0], last_sets[1]);
    return {};
  }

  Result<MovableListImage> Decode(std::vector<Value> values) {
    MovableListImage image;
    image.items.reserve(values.size());
    MERROW_ASSIGN(const ItemRow front, NextRow());
    MERROW_TRY(AppendInvisible(front.invisible, &image));
    for (Value& value : values) {
      MERROW_ASSIGN(const ItemRow row, NextRow());
      MovableListImage::Item item;
      item.value = std::move(value);
      MERROW_TRY(ReadItemId(&item));
      item.element = {item.lamport, item.id.peer};
      if (!row.element_is_item && !elements_.Next(peers_, &item.element)) {
        return Bad("malformed element ids");
      }
      item.last_set = item.element;
      if (!row.last_set_is_element && !last_sets_.Next(peers_, &item.last_set)) {
        return Bad("malformed ids of last writes");
      }
      image.items.push_back(std::move(item));
      MERROW_TRY(AppendInvisible(row.invisible, &image));
    }
    if (!invisible_.AtEnd() || !element_is_item_.AtEnd() || !last_set_is_element_.AtEnd() ||
        !ids_.AtEnd() || !elements_.AtEnd() || !last_sets_.AtEnd()) {
      return Bad("more rows than items");
    }
    return image;
  }

 private:
  struct ItemRow {
    uint64_t invisible = 0;
    bool element_is_item = true;
    bool last_set_is_element = true;
  };

  Result<ItemRow> NextRow() {
    ItemRow row;
    if (!invisible_.Next(&row.invisible) || !element_is_item_.Next(&row.element_is_item) ||
        !last_set_is_element_.Next(&row.last_set_is_element)) {
      return Bad("malformed items");
    }
    return row;
  }

  Status ReadItemId(MovableListImage::Item* item) {
    FullId id;
    if (!ids_.Next(peers_, &id)) return Bad("malformed item ids");
    item->id = id.id;
    item->lamport = id.lamport;
    return {};
  }

  Status AppendInvisible(uint64_t count, MovableListImage* image) {
    if (count > left_) return LimitReached("movable list state: too many invisible items");
    left_ -= count;
    for (; count > 0; --count) {
      MovableListImage::Item item;
      item.visible = false;
      MERROW_TRY(ReadItemId(&item));
      image->items.push_back(std::move(item));
    }
    return {};
  }

  const PeerTable& peers_;
  uint64_t left_;  // invisible items that are still allowed
  DeltaRleDecoder<uint64_t> invisible_;
  BoolRleDecoder element_is_item_;
  BoolRleDecoder last_set_is_element_;
  FullIdDecoder ids_{{}, {}, {}};
  IdLpDecoder elements_{{}, {}};
  IdLpDecoder last_sets_{{}, {}};
};

}  // namespace

Result<MovableListImage> DecodeMovableListState(BytesView state) {
  ByteReader reader(state);
  MERROW_ASSIGN(const uint64_t count, reader.Uleb64());
  if (count > reader.remaining()) return reader.Fail("movable list state: count is past the end");
  std::vector<Value> values;
  values.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    MERROW_ASSIGN(Value value, ReadStateValue(reader));
    values.push_back(std::move(value));
  }
  MERROW_ASSIGN(const PeerTable peers, PeerTable::Read(reader));
  Decoder decoder(peers, kInvisibleItemsFree + kInvisibleItemsPerByte * state.size());
  MERROW_TRY(decoder.ReadColumnsOf(reader.rest()));
  return decoder.Decode(std::move(values));
}

Bytes EncodeMovableListState(const MovableListImage& image) {
  ByteWriter writer;
  size_t visible_count = 0;
  for (const auto& item : image.items) visible_count += item.visible ? 1 : 0;
  writer.Uleb(visible_count);

  PeerRegister peers;
  DeltaRleEncoder<uint64_t> invisible;
  BoolRleEncoder element_is_item;
  BoolRleEncoder last_set_is_element;
  FullIdEncoder ids;
  IdLpEncoder elements;
  IdLpEncoder last_sets;
  element_is_item.Append(true);
  last_set_is_element.Append(true);
  uint64_t invisible_count = 0;  // since the last visible item
  for (const auto& item : image.items) {
    ids.Append(peers, item.id, item.lamport);
    if (!item.visible) {
      ++invisible_count;
      continue;
    }
    WriteStateValue(writer, item.value);
    invisible.Append(invisible_count);
    invisible_count = 0;
    const bool is_item = item.element == IdLp{item.lamport, item.id.peer};
    element_is_item.Append(is_item);
    if (!is_item) elements.Append(peers, item.element);
    const bool is_element = item.last_set == item.element;
    last_set_is_element.Append(is_element);
    if (!is_element) last_sets.Append(peers, item.last_set);
  }
  invisible.Append(invisible_count);

  peers.Write(writer);
  writer.Uleb(kFields);
  WriteColumns(writer, std::array<Bytes, 3>{invisible.Finish(), element_is_item.Finish(),
                                            last_set_is_element.Finish()});
  std::array<Bytes, 3> id_columns;
  ids.Finish(&id_columns[0], &id_columns[1], &id_columns[2]);
  WriteColumns(writer, id_columns);
  WriteColumns(writer, elements.Finish());
  WriteColumns(writer, last_sets.Finish());
  return writer.Release();
}

}  // namespace merrow::loro
