// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "capi/guard.h"
#include "merrow.h"

namespace {

constexpr const char* kBody = "cid:root-body:Text";
constexpr const char* kRow = "cid:root-row:Map";
constexpr const char* kItems = "cid:root-items:MovableList";
constexpr const char* kOutline = "cid:root-outline:Tree";

// Frees what a test got.
class Owned {
 public:
  ~Owned() { merrow_bytes_free(&bytes_); }
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  merrow_bytes* out() { return &bytes_; }
  const char* data() const { return bytes_.data; }
  size_t size() const { return bytes_.size; }
  std::string text() const { return std::string(bytes_.data, bytes_.size); }

 private:
  merrow_bytes bytes_ = {};
};

class Doc {
 public:
  explicit Doc(uint64_t peer) { EXPECT_EQ(merrow_doc_new(peer, &doc_, nullptr), MERROW_OK); }
  ~Doc() { merrow_doc_free(doc_); }
  Doc(const Doc&) = delete;
  Doc& operator=(const Doc&) = delete;
  merrow_doc* get() const { return doc_; }

  std::string json() const {
    Owned out;
    EXPECT_EQ(merrow_doc_json(doc_, out.out(), nullptr), MERROW_OK);
    return out.text();
  }
  void Insert(size_t position, const std::string& text) {
    merrow_error error;
    EXPECT_EQ(
        merrow_text_insert(doc_, kBody, position, text.data(), text.size(), MERROW_UNICODE, &error),
        MERROW_OK)
        << error.message;
  }
  void Commit() { EXPECT_EQ(merrow_doc_commit(doc_, 0, nullptr, nullptr), MERROW_OK); }

 private:
  merrow_doc* doc_ = nullptr;
};

merrow_value Integer(int64_t integer) {
  merrow_value value = {};
  value.kind = MERROW_INT;
  value.as.integer = integer;
  return value;
}

merrow_value Bytes(merrow_value_kind kind, const char* text) {
  merrow_value value = {};
  value.kind = kind;
  value.as.bytes.data = text;
  value.as.bytes.size = std::strlen(text);
  return value;
}

TEST(CApi, TwoDocumentsExchangeWhatTheOtherLacks) {
  Doc a(1), b(2);
  a.Insert(0, "hello");
  b.Insert(0, "world");
  a.Commit();
  b.Commit();
  Owned version_of_b, update;
  ASSERT_EQ(merrow_doc_version(b.get(), version_of_b.out(), nullptr), MERROW_OK);
  ASSERT_EQ(merrow_doc_export_updates(a.get(), version_of_b.data(), version_of_b.size(),
                                      update.out(), nullptr),
            MERROW_OK);
  merrow_import_status status = {};
  ASSERT_EQ(merrow_doc_import(b.get(), update.data(), update.size(), &status, nullptr), MERROW_OK);
  ASSERT_EQ(status.success_count, 1U);
  EXPECT_EQ(status.success[0].peer, 1U);
  EXPECT_EQ(status.success[0].start, 0);
  EXPECT_EQ(status.success[0].end, 5);
  EXPECT_EQ(status.pending_count, 0U);
  merrow_import_status_free(&status);
  EXPECT_EQ(status.success, nullptr);
  EXPECT_EQ(b.json(), R"({"body":"helloworld"})");
}

TEST(CApi, EveryKindOfEdit) {
  Doc doc(1);
  merrow_error error;
  const merrow_value five = Integer(5);
  const merrow_value list = Bytes(MERROW_JSON, R"([1, {"a": null}, 1.5])");
  const merrow_value name = Bytes(MERROW_TEXT, "n");
  ASSERT_EQ(merrow_map_set(doc.get(), kRow, "five", &five, &error), MERROW_OK) << error.message;
  ASSERT_EQ(merrow_map_set(doc.get(), kRow, "list", &list, &error), MERROW_OK) << error.message;
  ASSERT_EQ(merrow_map_set(doc.get(), kRow, "gone", &five, &error), MERROW_OK) << error.message;
  ASSERT_EQ(merrow_map_delete(doc.get(), kRow, "gone", &error), MERROW_OK) << error.message;
  Owned child;
  ASSERT_EQ(merrow_map_set_container(doc.get(), kRow, "votes", MERROW_COUNTER, child.out(), &error),
            MERROW_OK);
  ASSERT_EQ(merrow_counter_add(doc.get(), child.data(), 2.5, &error), MERROW_OK) << error.message;
  for (size_t i = 0; i < 3; ++i) {
    const merrow_value item = Integer(static_cast<int64_t>(i));
    ASSERT_EQ(merrow_list_insert(doc.get(), kItems, i, &item, &error), MERROW_OK) << error.message;
  }
  ASSERT_EQ(merrow_list_move(doc.get(), kItems, 0, 2, &error), MERROW_OK) << error.message;
  ASSERT_EQ(merrow_list_set(doc.get(), kItems, 0, &name, &error), MERROW_OK) << error.message;
  ASSERT_EQ(merrow_list_delete(doc.get(), kItems, 1, 1, &error), MERROW_OK) << error.message;
  merrow_node root = {}, leaf = {};
  ASSERT_EQ(merrow_tree_create(doc.get(), kOutline, nullptr, MERROW_LAST, &root, &error),
            MERROW_OK);
  ASSERT_EQ(merrow_tree_create(doc.get(), kOutline, nullptr, 0, &leaf, &error), MERROW_OK);
  ASSERT_EQ(merrow_tree_move(doc.get(), kOutline, leaf, &root, MERROW_LAST, &error), MERROW_OK);
  EXPECT_EQ(merrow_tree_move(doc.get(), kOutline, root, &leaf, MERROW_LAST, &error),
            MERROW_CONFLICT);
  ASSERT_EQ(merrow_tree_delete(doc.get(), kOutline, leaf, &error), MERROW_OK) << error.message;
  doc.Insert(0, "bold");
  const merrow_value yes = {MERROW_BOOL, {true}};
  ASSERT_EQ(merrow_text_mark(doc.get(), kBody, 0, 4, "bold", &yes, MERROW_EXPAND_AFTER,
                             MERROW_UNICODE, &error),
            MERROW_OK);
  ASSERT_EQ(
      merrow_text_unmark(doc.get(), kBody, 2, 4, "bold", MERROW_EXPAND_AFTER, MERROW_UTF16, &error),
      MERROW_OK);
  Owned delta, row, items;
  ASSERT_EQ(merrow_text_delta(doc.get(), kBody, delta.out(), &error), MERROW_OK);
  EXPECT_EQ(delta.text(), R"([{"attributes":{"bold":true},"insert":"bo"},{"insert":"ld"}])");
  ASSERT_EQ(merrow_json(doc.get(), kRow, row.out(), &error), MERROW_OK);
  EXPECT_EQ(row.text(), R"({"five":5,"list":[1,{"a":null},1.5],"votes":2.5})");
  ASSERT_EQ(merrow_json(doc.get(), kItems, items.out(), &error), MERROW_OK);
  EXPECT_EQ(items.text(), R"(["n",0])");
  size_t length = 0;
  ASSERT_EQ(merrow_length(doc.get(), kBody, MERROW_UTF16, &length, &error), MERROW_OK);
  EXPECT_EQ(length, 4U);
}

TEST(CApi, VersionsAreLookedAtComparedForkedAndRevertedTo) {
  Doc doc(1);
  merrow_error error;
  doc.Insert(0, "one");
  ASSERT_EQ(merrow_doc_commit(doc.get(), 1700000000, "first", &error), MERROW_OK) << error.message;
  Owned early;
  ASSERT_EQ(merrow_doc_frontiers(doc.get(), early.out(), &error), MERROW_OK);
  doc.Insert(3, " two");
  doc.Commit();
  Owned late;
  ASSERT_EQ(merrow_doc_frontiers(doc.get(), late.out(), &error), MERROW_OK);
  merrow_order order = MERROW_EQUAL;
  ASSERT_EQ(merrow_doc_compare(doc.get(), early.data(), early.size(), late.data(), late.size(),
                               &order, &error),
            MERROW_OK);
  EXPECT_EQ(order, MERROW_BEFORE);

  ASSERT_EQ(merrow_doc_checkout(doc.get(), early.data(), early.size(), &error), MERROW_OK)
      << error.message;
  EXPECT_TRUE(merrow_doc_is_checked_out(doc.get()));
  EXPECT_EQ(doc.json(), R"({"body":"one"})");
  EXPECT_EQ(merrow_text_insert(doc.get(), kBody, 0, "x", 1, MERROW_UNICODE, &error),
            MERROW_CONFLICT);
  merrow_doc_checkout_latest(doc.get());
  EXPECT_EQ(doc.json(), R"({"body":"one two"})");

  Owned diff;
  ASSERT_EQ(merrow_doc_diff(doc.get(), early.data(), early.size(), late.data(), late.size(),
                            diff.out(), &error),
            MERROW_OK);
  EXPECT_NE(diff.text().find(" two"), std::string::npos) << diff.text();

  merrow_doc* fork = nullptr;
  ASSERT_EQ(merrow_doc_fork(doc.get(), early.data(), early.size(), 2, &fork, &error), MERROW_OK);
  Owned forked;
  ASSERT_EQ(merrow_doc_json(fork, forked.out(), &error), MERROW_OK);
  EXPECT_EQ(forked.text(), R"({"body":"one"})");
  merrow_doc_free(fork);

  ASSERT_EQ(merrow_doc_revert(doc.get(), early.data(), early.size(), &error), MERROW_OK);
  EXPECT_EQ(doc.json(), R"({"body":"one"})");
}

void Collect(void* context, const char* delta_json, size_t size) {
  static_cast<std::vector<std::string>*>(context)->emplace_back(delta_json, size);
}

TEST(CApi, EventsAndCursorsFollowTheDocument) {
  Doc doc(1);
  merrow_error error;
  doc.Insert(0, "ac");
  doc.Commit();
  Owned cursor;
  ASSERT_EQ(merrow_cursor_at(doc.get(), kBody, 1, 0, MERROW_UNICODE, cursor.out(), &error),
            MERROW_OK)
      << error.message;
  std::vector<std::string> events;
  merrow_subscription* subscription = nullptr;
  ASSERT_EQ(merrow_doc_subscribe(doc.get(), Collect, &events, &subscription, &error), MERROW_OK);
  doc.Insert(0, "xy");
  doc.Commit();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_NE(events[0].find("xy"), std::string::npos) << events[0];
  merrow_subscription_free(subscription);
  doc.Insert(0, "z");
  doc.Commit();
  EXPECT_EQ(events.size(), 1U);
  size_t position = 0;
  ASSERT_EQ(merrow_cursor_position(doc.get(), cursor.data(), cursor.size(), MERROW_UNICODE,
                                   &position, &error),
            MERROW_OK)
      << error.message;
  EXPECT_EQ(position, 4U);
}

TEST(CApi, UndoAndRedoByStep) {
  Doc doc(1);
  merrow_error error;
  merrow_undo* undo = nullptr;
  ASSERT_EQ(merrow_undo_new(doc.get(), 100, 50, &undo, &error), MERROW_OK) << error.message;
  bool did = true;
  EXPECT_EQ(merrow_undo_step(undo, &did, &error), MERROW_OK);
  EXPECT_FALSE(did);
  merrow_undo_set_time(undo, 1000);
  doc.Insert(0, "one");
  doc.Commit();
  merrow_undo_set_time(undo, 1050);
  doc.Insert(3, " and");
  doc.Commit();
  merrow_undo_set_time(undo, 2000);
  doc.Insert(7, " two");
  doc.Commit();
  EXPECT_EQ(merrow_undo_count(undo), 2U);
  EXPECT_EQ(merrow_undo_step(undo, &did, &error), MERROW_OK);
  EXPECT_TRUE(did);
  EXPECT_EQ(doc.json(), R"({"body":"one and"})");
  EXPECT_EQ(merrow_undo_step(undo, &did, &error), MERROW_OK);
  EXPECT_EQ(doc.json(), R"({"body":""})");
  EXPECT_EQ(merrow_redo_count(undo), 2U);
  EXPECT_EQ(merrow_redo_step(undo, &did, &error), MERROW_OK);
  EXPECT_EQ(doc.json(), R"({"body":"one and"})");
  merrow_undo_free(undo);
}

TEST(CApi, UndoInGroupsAndPauses) {
  Doc doc(1);
  merrow_error error;
  merrow_undo* undo = nullptr;
  ASSERT_EQ(merrow_undo_new(doc.get(), 0, 50, &undo, &error), MERROW_OK) << error.message;
  const auto append = [&doc](const std::string& text) {
    size_t length = 0;
    EXPECT_EQ(merrow_length(doc.get(), kBody, MERROW_UNICODE, &length, nullptr), MERROW_OK);
    doc.Insert(length, text);
    doc.Commit();
  };
  append("1");
  EXPECT_EQ(merrow_undo_begin_group(undo, &error), MERROW_OK);
  append("2");
  append("3");
  EXPECT_EQ(merrow_undo_end_group(undo, &error), MERROW_OK);
  append("4");
  EXPECT_EQ(merrow_undo_count(undo), 3U);
  EXPECT_EQ(merrow_undo_set_recording(undo, false, &error), MERROW_OK);
  append("!");
  EXPECT_EQ(merrow_undo_set_recording(undo, true, &error), MERROW_OK);
  EXPECT_EQ(merrow_undo_count(undo), 3U);
  bool did = false;
  EXPECT_EQ(merrow_undo_step(undo, &did, &error), MERROW_OK);
  EXPECT_EQ(doc.json(), R"({"body":"123!"})");
  EXPECT_EQ(merrow_undo_step(undo, &did, &error), MERROW_OK);
  EXPECT_EQ(doc.json(), R"({"body":"1!"})");
  EXPECT_EQ(merrow_undo_clear(undo, &error), MERROW_OK);
  EXPECT_EQ(merrow_undo_step(undo, &did, &error), MERROW_OK);
  EXPECT_FALSE(did);
  EXPECT_EQ(merrow_undo_clear(nullptr, &error), MERROW_INVALID_ARGUMENT);
  merrow_undo_free(undo);
}

TEST(CApi, RestPeersAndPendingOps) {
  Doc doc(1), late(2);
  merrow_error error;
  doc.Insert(0, "first");
  doc.Commit();
  merrow_doc_rest(doc.get());
  EXPECT_TRUE(merrow_doc_is_resting(doc.get()));
  EXPECT_FALSE(merrow_doc_is_shallow(doc.get()));
  EXPECT_TRUE(merrow_doc_is_resting(doc.get()));
  EXPECT_EQ(merrow_doc_wake(doc.get(), &error), MERROW_OK);
  EXPECT_FALSE(merrow_doc_is_resting(doc.get()));
  EXPECT_EQ(merrow_doc_set_peer(doc.get(), UINT64_MAX, &error), MERROW_INVALID_ARGUMENT);
  EXPECT_EQ(merrow_doc_set_peer(doc.get(), 7, &error), MERROW_OK);
  EXPECT_EQ(merrow_doc_peer(doc.get()), 7U);
  doc.Insert(5, " second");
  doc.Commit();

  const merrow_id_span second = {7, 0, 7};
  Owned update, snapshot;
  ASSERT_EQ(merrow_doc_export_range(doc.get(), &second, 1, update.out(), &error), MERROW_OK);
  EXPECT_FALSE(merrow_doc_has_pending(late.get()));
  ASSERT_EQ(merrow_doc_import(late.get(), update.data(), update.size(), nullptr, &error),
            MERROW_OK);
  EXPECT_TRUE(merrow_doc_has_pending(late.get()));
  merrow_doc_drop_pending(late.get());
  EXPECT_FALSE(merrow_doc_has_pending(late.get()));

  // A snapshot is loaded into an empty document, and what is inside is looked at later.
  ASSERT_EQ(merrow_doc_export_snapshot(doc.get(), snapshot.out(), &error), MERROW_OK);
  Doc loaded(3);
  merrow_import_status status = {};
  ASSERT_EQ(merrow_doc_load(loaded.get(), snapshot.data(), snapshot.size(), &status, &error),
            MERROW_OK);
  EXPECT_EQ(status.success_count, 2U);
  merrow_import_status_free(&status);
  EXPECT_EQ(loaded.json(), R"({"body":"first second"})");
  EXPECT_FALSE(merrow_doc_is_broken(loaded.get()));
  EXPECT_EQ(merrow_doc_load(doc.get(), snapshot.data(), snapshot.size(), nullptr, &error),
            MERROW_INVALID_ARGUMENT);
}

TEST(CApi, AShallowDocumentSaysWhereItStarts) {
  Doc doc(1), trimmed(2);
  merrow_error error;
  doc.Insert(0, "old and new");
  doc.Commit();
  Owned frontiers, shallow, start, none;
  ASSERT_EQ(merrow_doc_frontiers(doc.get(), frontiers.out(), &error), MERROW_OK);
  ASSERT_EQ(merrow_doc_export_shallow(doc.get(), frontiers.data(), frontiers.size(), shallow.out(),
                                      &error),
            MERROW_OK);
  ASSERT_EQ(merrow_doc_import(trimmed.get(), shallow.data(), shallow.size(), nullptr, &error),
            MERROW_OK);
  EXPECT_TRUE(merrow_doc_is_shallow(trimmed.get()));
  ASSERT_EQ(merrow_doc_shallow_frontiers(trimmed.get(), start.out(), &error), MERROW_OK);
  EXPECT_EQ(start.text(), frontiers.text());
  EXPECT_FALSE(merrow_doc_is_shallow(doc.get()));
  ASSERT_EQ(merrow_doc_shallow_frontiers(doc.get(), none.out(), &error), MERROW_OK);
  EXPECT_NE(none.text(), start.text());
}

// A callback that edits what it is told of.
void EditAgain(void* context, const char*, size_t) {
  auto* const doc = static_cast<merrow_doc*>(context);
  merrow_error error;
  EXPECT_EQ(merrow_text_insert(doc, kBody, 0, "x", 1, MERROW_UNICODE, &error), MERROW_BUSY);
  EXPECT_NE(std::string(error.message).find("callback"), std::string::npos);
}

TEST(CApi, ACallbackCannotChangeTheDocument) {
  Doc doc(1);
  merrow_subscription* subscription = nullptr;
  ASSERT_EQ(merrow_doc_subscribe(doc.get(), EditAgain, doc.get(), &subscription, nullptr),
            MERROW_OK);
  doc.Insert(0, "text");
  doc.Commit();
  EXPECT_EQ(doc.json(), R"({"body":"text"})");
  merrow_subscription_free(subscription);
}

TEST(CApi, BlobsInAllForms) {
  Doc doc(1);
  merrow_error error;
  doc.Insert(0, "text");
  doc.Commit();
  Owned snapshot, shallow, json, range, frontiers;
  const merrow_id_span span = {1, 0, 2};
  ASSERT_EQ(merrow_doc_frontiers(doc.get(), frontiers.out(), &error), MERROW_OK);
  ASSERT_EQ(merrow_doc_export_snapshot(doc.get(), snapshot.out(), &error), MERROW_OK);
  ASSERT_EQ(merrow_doc_export_shallow(doc.get(), frontiers.data(), frontiers.size(), shallow.out(),
                                      &error),
            MERROW_OK)
      << error.message;
  ASSERT_EQ(merrow_doc_export_json(doc.get(), json.out(), &error), MERROW_OK);
  ASSERT_EQ(merrow_doc_export_range(doc.get(), &span, 1, range.out(), &error), MERROW_OK);
  merrow_blob_info info = {};
  ASSERT_EQ(merrow_blob_info_read(shallow.data(), shallow.size(), &info, &error), MERROW_OK);
  EXPECT_TRUE(info.is_snapshot);
  EXPECT_TRUE(info.is_shallow);

  Doc from_shallow(2), from_json(3), from_range(4), from_batch(5);
  EXPECT_EQ(merrow_doc_import(from_shallow.get(), shallow.data(), shallow.size(), nullptr, &error),
            MERROW_OK);
  EXPECT_EQ(merrow_doc_import_json(from_json.get(), json.data(), nullptr, &error), MERROW_OK);
  EXPECT_EQ(merrow_doc_import(from_range.get(), range.data(), range.size(), nullptr, &error),
            MERROW_OK);
  EXPECT_EQ(from_shallow.json(), doc.json());
  EXPECT_EQ(from_json.json(), doc.json());
  EXPECT_EQ(from_range.json(), R"({"body":"te"})");

  // A batch with a damaged blob changes nothing.
  const void* blobs[] = {range.data(), "damaged"};
  const size_t sizes[] = {range.size(), 7};
  EXPECT_NE(merrow_doc_import_batch(from_batch.get(), blobs, sizes, 2, nullptr, &error), MERROW_OK);
  EXPECT_EQ(merrow_doc_op_count(from_batch.get()), 0U);
  EXPECT_EQ(merrow_doc_import_batch(from_batch.get(), blobs, sizes, 1, nullptr, &error), MERROW_OK);
  EXPECT_EQ(merrow_doc_op_count(from_batch.get()), 2U);
}

TEST(CApi, MistakesAreErrorsWithAMessage) {
  Doc doc(1);
  merrow_error error;
  EXPECT_EQ(merrow_doc_new(UINT64_MAX, nullptr, &error), MERROW_INVALID_ARGUMENT);
  EXPECT_EQ(merrow_doc_import(doc.get(), "no", 2, nullptr, &error), MERROW_CORRUPTION);
  EXPECT_EQ(error.status, MERROW_CORRUPTION);
  EXPECT_NE(std::strlen(error.message), 0U);
  EXPECT_EQ(merrow_doc_import(doc.get(), nullptr, 2, nullptr, nullptr), MERROW_INVALID_ARGUMENT);
  EXPECT_EQ(merrow_text_delete(doc.get(), kBody, 0, 1, MERROW_UNICODE, &error),
            MERROW_INVALID_ARGUMENT);
  EXPECT_EQ(merrow_map_set(doc.get(), "not a container", "k", nullptr, &error),
            MERROW_INVALID_ARGUMENT);
  EXPECT_EQ(merrow_map_set(doc.get(), kRow, nullptr, nullptr, &error), MERROW_INVALID_ARGUMENT);
  const merrow_value broken = Bytes(MERROW_JSON, "{");
  EXPECT_EQ(merrow_map_set(doc.get(), kRow, "k", &broken, &error), MERROW_INVALID_ARGUMENT);
  EXPECT_EQ(doc.json(), "{}");
}

TEST(CApi, NoTimestampMakesADocumentThatCannotBeReadAgain) {
  constexpr int64_t kNanoseconds = 1'790'000'000'000'000'000;
  constexpr int64_t kLast = int64_t{1} << 60;
  Doc doc(1), other(2);
  merrow_error error;
  for (const int64_t timestamp : {INT64_MIN, -kLast, int64_t{0}, kLast, kLast + 1, kNanoseconds}) {
    doc.Insert(0, "x");
    const bool fits = timestamp <= kLast && timestamp >= -kLast;
    EXPECT_EQ(merrow_doc_commit(doc.get(), timestamp, nullptr, &error),
              fits ? MERROW_OK : MERROW_INVALID_ARGUMENT);
  }
  Owned snapshot;
  ASSERT_EQ(merrow_doc_export_snapshot(doc.get(), snapshot.out(), &error), MERROW_OK);
  EXPECT_EQ(merrow_doc_import(other.get(), snapshot.data(), snapshot.size(), nullptr, &error),
            MERROW_OK)
      << error.message;
  EXPECT_EQ(other.json(), R"({"body":"xxxxxx"})");
}

TEST(CApi, CallsWithoutAStatusTakeNull) {
  EXPECT_EQ(merrow_doc_peer(nullptr), 0U);
  EXPECT_EQ(merrow_doc_op_count(nullptr), 0U);
  EXPECT_EQ(merrow_doc_memory_bytes(nullptr), 0U);
  EXPECT_FALSE(merrow_doc_is_checked_out(nullptr));
  EXPECT_FALSE(merrow_doc_is_broken(nullptr));
  EXPECT_FALSE(merrow_doc_has_pending(nullptr));
  EXPECT_FALSE(merrow_doc_is_shallow(nullptr));
  EXPECT_FALSE(merrow_doc_is_resting(nullptr));
  merrow_doc_rest(nullptr);
  merrow_doc_drop_pending(nullptr);
  merrow_doc_checkout_latest(nullptr);
  merrow_undo_set_time(nullptr, 1);
  EXPECT_EQ(merrow_undo_count(nullptr), 0U);
  EXPECT_EQ(merrow_redo_count(nullptr), 0U);
  merrow_doc_free(nullptr);
  merrow_undo_free(nullptr);
  merrow_subscription_free(nullptr);
  merrow_bytes_free(nullptr);
  merrow_import_status_free(nullptr);
}

TEST(CApi, DeletesOfAListAreRefusedElsewhere) {
  Doc doc(1);
  merrow_error error;
  doc.Insert(0, "text");
  EXPECT_EQ(merrow_list_delete(doc.get(), kBody, 0, 1, &error), MERROW_INVALID_ARGUMENT);
  EXPECT_EQ(merrow_list_delete(doc.get(), kRow, 0, 0, &error), MERROW_INVALID_ARGUMENT);
  EXPECT_EQ(merrow_list_delete(doc.get(), kItems, 1, SIZE_MAX, &error), MERROW_INVALID_ARGUMENT);
  EXPECT_EQ(doc.json(), R"({"body":"text"})");
}

TEST(CApi, ALongMessageIsCutBetweenCharacters) {
  merrow_error error;
  std::string message = "e";
  for (int i = 0; i < 300; ++i) message += "\xc3\xa9";  // e with an acute accent
  EXPECT_EQ(merrow::capi::Fail(merrow::InvalidArgument(message), &error), MERROW_INVALID_ARGUMENT);
  const size_t length = std::strlen(error.message);
  ASSERT_LT(length, sizeof(error.message));
  EXPECT_GE(length, sizeof(error.message) - 2);
  EXPECT_EQ(static_cast<unsigned char>(error.message[length - 1]), 0xA9);
}

}  // namespace
