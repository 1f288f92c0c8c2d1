// SPDX-License-Identifier: Apache-2.0
//
// The sequence tracker, the text and the list against documents that loro-crdt made
// (test/vectors/loro/concurrent_text.json): the same history in any legal order gives the same
// text, styles and list, and local edits become the same ops.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "loro/list_state.h"
#include "loro/sequence_tracker.h"
#include "loro/text_state.h"

namespace merrow::loro {
namespace {

using Json = nlohmann::json;
using Version = std::map<PeerId, Counter>;

Value ToValue(const Json& json) {
  if (json.is_boolean()) {
    return json.get<bool>();
  }
  if (json.is_number_integer()) {
    return json.get<int64_t>();
  }
  return json.is_null() ? Value() : Value(json.get<std::string>());
}

Json ToJson(const Value& value) {
  if (const bool* flag = value.If<bool>()) {
    return *flag;
  }
  if (const int64_t* number = value.If<int64_t>()) {
    return *number;
  }
  return value.is_null() ? Json() : Json(*value.If<std::string>());
}

Json DeltaOf(const TextState& text) {
  Json delta = Json::array();
  for (const TextSegment& segment : text.Segments()) {
    Json item = {{"insert", segment.text}};
    for (const auto& [key, value] : segment.attributes) {
      item["attributes"][std::string(key)] = ToJson(*value);
    }
    delta.push_back(item);
  }
  return delta;
}

Json ListOf(const ListState& list) {
  Json items = Json::array();
  list.ForEach([&](const IdRun&, const Value& value) { items.push_back(ToJson(value)); });
  return items;
}

struct Change {
  Id id;
  Lamport lamport = 0;
  Version version;  // made at
  const Json* ops = nullptr;
};

/// loro-crdt's JSON updates.
class Updates {
 public:
  explicit Updates(const Json& json) {
    for (const Json& peer : json["peers"]) {
      peers_.push_back(std::stoull(peer.get<std::string>()));
    }
    std::vector<const Json*> left;
    for (const Json& change : json["changes"]) {
      left.push_back(&change);
    }
    // Versions need those of the deps, whatever the order in the file.
    while (!left.empty()) {
      for (size_t i = 0; i < left.size();) {
        i = TryAdd(*left[i]) ? (left.erase(left.begin() + static_cast<ptrdiff_t>(i)), i) : i + 1;
      }
    }
  }

  const std::vector<Change>& changes() const { return changes_; }
  Id ToId(const std::string& text) const {
    const size_t at = text.find('@');
    return {peers_[std::stoull(text.substr(at + 1))], std::stoi(text.substr(0, at))};
  }

 private:
  bool TryAdd(const Json& json) {
    Change change;
    change.id = ToId(json["id"]);
    change.lamport = json["lamport"];
    change.ops = &json["ops"];
    for (const Json& dep : json["deps"]) {
      const Id id = ToId(dep);
      const Change* holder = Find(id);
      if (holder == nullptr) {
        return false;
      }
      for (const auto& [peer, end] : holder->version) {
        change.version[peer] = std::max(change.version[peer], end);
      }
      change.version[id.peer] = std::max(change.version[id.peer], id.counter + 1);
    }
    changes_.push_back(change);
    return true;
  }

  const Change* Find(Id id) const {
    const Change* found = nullptr;
    for (const Change& change : changes_) {
      if (change.id.peer == id.peer && change.id.counter <= id.counter &&
          (found == nullptr || change.id.counter > found->id.counter)) {
        found = &change;
      }
    }
    return found != nullptr && End(*found) > id.counter ? found : nullptr;
  }

 public:
  static Counter OpLength(const Json& content) {
    if (content["type"] == "insert" && content.contains("value")) {
      return static_cast<Counter>(content["value"].size());
    }
    if (content["type"] == "insert") {
      Counter scalars = 0;
      for (const char byte : content["text"].get<std::string>()) {
        scalars += (static_cast<uint8_t>(byte) & 0xC0) != 0x80 ? 1 : 0;
      }
      return scalars;
    }
    return content["type"] == "delete" ? std::abs(content["len"].get<int>()) : 1;
  }

  static Counter End(const Change& change) {
    const Json& last = change.ops->back();
    return last["counter"].get<Counter>() + OpLength(last["content"]);
  }

 private:
  std::vector<PeerId> peers_;
  std::vector<Change> changes_;
};

/// A document of one text and one list, without an op log.
class Sequences {
 public:
  TextState text;
  ListState list;

  void Feed(const Change& change) {
    MoveTo(change.version);
    for (const Json& op : *change.ops) {
      const Counter counter = op["counter"];
      FeedOp(op, {change.id.peer, counter},
             change.lamport + static_cast<Lamport>(counter - change.id.counter));
      ASSERT_FALSE(testing::Test::HasFatalFailure()) << op;
      current_[change.id.peer] = counter + Updates::OpLength(op["content"]);
    }
  }

  /// Applies a local op at its position.
  void Apply(const Json& op, Id id, Lamport lamport) {
    const Json& content = op["content"];
    if (content["type"] == "delete") {
      const int length = content["len"];
      const int first = content["pos"].get<int>() - (length < 0 ? -length - 1 : 0);
      ASSERT_TRUE(
          text.Delete(static_cast<uint32_t>(first), static_cast<uint32_t>(std::abs(length))).ok());
    } else {
      ApplyInsert(op, id, lamport, PositionOf(content));
    }
  }

 private:
  uint32_t PositionOf(const Json& content) {
    if (content["type"] == "mark") {
      mark_end_ = content["end"].get<uint32_t>() + 1;
      return content["start"];
    }
    return content["type"] == "mark_end" ? mark_end_ : content["pos"].get<uint32_t>();
  }

  void MoveTo(const Version& version) {
    Version all = current_;
    all.insert(version.begin(), version.end());
    for (const auto& [peer, ignored] : all) {
      const auto found = version.find(peer);
      const Counter to = found == version.end() ? 0 : found->second;
      const Counter from = current_[peer];
      for (SequenceTracker* tracker : {&text_tracker_, &list_tracker_}) {
        if (to < from) {
          tracker->Retreat({peer, to, from});
        } else if (from < to) {
          tracker->Advance({peer, from, to});
        }
      }
      current_[peer] = to;
    }
  }

  void FeedOp(const Json& op, Id id, Lamport lamport) {
    const Json& content = op["content"];
    const bool is_list = op["container"] == "cid:root-l:List";
    SequenceTracker& tracker = is_list ? list_tracker_ : text_tracker_;
    const uint32_t position = PositionOf(content);
    if (content["type"] == "delete") {
      std::vector<SequenceTracker::Deleted> deleted;
      ASSERT_TRUE(tracker.Delete(id, position, content["len"], &deleted).ok());
      for (const SequenceTracker::Deleted& range : deleted) {
        ASSERT_TRUE((is_list ? list.Delete(range.position, range.length)
                             : text.Delete(range.position, range.length))
                        .ok());
      }
      return;
    }
    const auto effect =
        tracker.Insert(id, static_cast<uint32_t>(Updates::OpLength(content)), position);
    ASSERT_TRUE(effect.ok());
    ApplyInsert(op, id, lamport, *effect);
  }

  void ApplyInsert(const Json& op, Id id, Lamport lamport, uint32_t position) {
    const Json& content = op["content"];
    if (content["type"] == "mark") {
      ASSERT_TRUE(text.InsertStyleStart(position, id, lamport,
                                        content["style_key"].get<std::string>(),
                                        ToValue(content["style_value"]), content["info"])
                      .ok());
    } else if (content["type"] == "mark_end") {
      ASSERT_TRUE(text.InsertStyleEnd(position, id, lamport).ok());
    } else if (content.contains("value")) {
      std::vector<Value> values;
      for (const Json& value : content["value"]) {
        values.push_back(ToValue(value));
      }
      ASSERT_TRUE(list.Insert(position, id, lamport, std::move(values)).ok());
    } else {
      const std::string utf8 = content["text"];
      ASSERT_TRUE(text.InsertText(position, id, lamport, utf8,
                                  static_cast<uint32_t>(Updates::OpLength(content)))
                      .ok());
    }
  }

  SequenceTracker text_tracker_{0};
  SequenceTracker list_tracker_{0};
  Version current_;
  uint32_t mark_end_ = 0;
};

std::vector<Change> Shuffled(std::vector<Change> left, std::mt19937_64* random) {
  std::vector<Change> order;
  Version done;
  while (!left.empty()) {
    std::vector<size_t> ready;
    for (size_t i = 0; i < left.size(); ++i) {
      const Version& version = left[i].version;
      if (done[left[i].id.peer] == left[i].id.counter &&
          std::all_of(version.begin(), version.end(),
                      [&](const auto& entry) { return done[entry.first] >= entry.second; })) {
        ready.push_back(i);
      }
    }
    const size_t pick = ready[(*random)() % ready.size()];
    done[left[pick].id.peer] = Updates::End(left[pick]);
    order.push_back(left[pick]);
    left.erase(left.begin() + static_cast<ptrdiff_t>(pick));
  }
  return order;
}

Json LoadVectors() {
  std::ifstream stream(MERROW_VECTORS "/loro/concurrent_text.json");
  return Json::parse(stream);
}

void Replay(const Updates& updates, std::mt19937_64* random, Sequences* document) {
  for (const Change& change : Shuffled(updates.changes(), random)) {
    document->Feed(change);
    ASSERT_FALSE(testing::Test::HasFatalFailure());
    document->text.CheckInvariants();
    document->list.CheckInvariants();
  }
}

TEST(SequenceVectors, AnyOrderGivesTheDocumentOfLoroCrdt) {
  std::mt19937_64 random(1);
  const Json vectors = LoadVectors();
  ASSERT_FALSE(vectors.empty());
  for (const Json& vector : vectors) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    const Updates updates(vector["updates"]);
    for (int i = 0; i < 4; ++i) {
      Sequences document;
      Replay(updates, &random, &document);
      ASSERT_FALSE(HasFatalFailure());
      std::string text;
      document.text.AppendText(&text);
      ASSERT_EQ(text, vector["text"].get<std::string>());
      ASSERT_EQ(DeltaOf(document.text), vector["delta"]);
      ASSERT_EQ(ListOf(document.list), vector["list"]);
    }
  }
}

TEST(SequenceVectors, LocalEditsBecomeTheOpsOfLoroCrdt) {
  std::mt19937_64 random(1);
  size_t inserts = 0;
  size_t deletes = 0;
  for (const Json& vector : LoadVectors()) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    const Updates updates(vector["updates"]);
    Sequences document;
    Replay(updates, &random, &document);
    ASSERT_FALSE(HasFatalFailure());
    Lamport lamport = 1000000;
    for (const Json& edit : vector["edits"]) {
      const Json& ops = edit["ops"];
      if (edit["kind"] == "insert") {
        const auto entity = document.text.EntityIndexForInsert(edit["at"]);
        ASSERT_EQ(*entity, ops[0]["content"]["pos"].get<uint32_t>()) << edit;
        ++inserts;
      } else if (edit["kind"] == "delete") {
        const auto runs = document.text.RunsForDelete(edit["at"], edit["count"]);
        ASSERT_TRUE(runs.ok());
        ASSERT_EQ(runs->size(), ops.size()) << edit;
        for (size_t i = 0; i < runs->size(); ++i) {
          ASSERT_EQ((*runs)[i].index, ops[i]["content"]["pos"].get<uint32_t>()) << edit;
          // A single one may be written as a backspace, if it followed one.
          ASSERT_EQ(static_cast<int>((*runs)[i].count),
                    (*runs)[i].count == 1 ? std::abs(ops[i]["content"]["len"].get<int>())
                                          : ops[i]["content"]["len"].get<int>())
              << edit;
        }
        ++deletes;
      }
      for (const Json& op : ops) {
        document.Apply(op, {55555, op["counter"]}, lamport);
        ASSERT_FALSE(HasFatalFailure()) << op;
        lamport += 100;
      }
      document.text.CheckInvariants();
    }
    ASSERT_EQ(DeltaOf(document.text), vector["edited_delta"]);
  }
  EXPECT_GT(inserts, 20u);
  EXPECT_GT(deletes, 20u);
}

}  // namespace
}  // namespace merrow::loro
