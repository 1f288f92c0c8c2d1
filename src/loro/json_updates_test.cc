// SPDX-License-Identifier: Apache-2.0
#include "loro/json_updates.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "loro/change_block.h"
#include "loro/envelope.h"
#include "merrow/document.h"

namespace merrow::loro {
namespace {

using Json = nlohmann::json;

ContainerId Root(std::string_view name, ContainerKind kind) {
  return ContainerId::Root(name, kind);
}

// A document with every kind of op of every container that this release knows.
Document Everything() {
  Document doc(5);
  const ContainerId text = Root("text", ContainerKind::kText);
  const ContainerId map = Root("map", ContainerKind::kMap);
  const ContainerId list = Root("list", ContainerKind::kList);
  const ContainerId movable = Root("movable", ContainerKind::kMovableList);
  const ContainerId tree = Root("tree", ContainerKind::kTree);
  const ContainerId counter = Root("counter", ContainerKind::kCounter);
  EXPECT_TRUE(doc.TextInsert(text, 0, "Hello 𝄞 \"w\\orld\"\n\x01").ok());
  EXPECT_TRUE(doc.TextMark(text, 0, 5, "bold", Value(true), StyleExpand::kAfter).ok());
  EXPECT_TRUE(doc.TextUnmark(text, 1, 2, "bold", StyleExpand::kAfter).ok());
  EXPECT_TRUE(doc.TextDelete(text, 3, 2).ok());
  EXPECT_TRUE(doc.TextDelete(text, 2, 1).ok());
  EXPECT_TRUE(doc.TextDelete(text, 1, 1).ok());
  EXPECT_TRUE(doc.Commit({.timestamp = 1700000000, .message = "a \"message\""}).ok());
  EXPECT_TRUE(doc.SetPeer(0xFFFFFFFFFFFFFFFE).ok());
  EXPECT_TRUE(doc.MapSet(map, "integer", Value(INT64_MIN)).ok());
  EXPECT_TRUE(doc.MapSet(map, "double", Value(3.0)).ok());
  EXPECT_TRUE(doc.MapSet(map, "tiny", Value(5e-324)).ok());
  EXPECT_TRUE(doc.MapSet(map, "huge", Value(1e300)).ok());
  EXPECT_TRUE(doc.MapSet(map, "minus zero", Value(-0.0)).ok());
  EXPECT_TRUE(doc.MapSet(map, "𝄞", Value(Value::Map{{"", Value()}, {"k", Value(false)}})).ok());
  EXPECT_TRUE(doc.MapDelete(map, "tiny").ok());
  const ContainerId child = *doc.MapSetContainer(map, "child", ContainerKind::kList);
  EXPECT_TRUE(doc.ListInsert(child, 0, Value(Value::List{Value(), Value("x")})).ok());
  EXPECT_TRUE(doc.ListInsert(list, 0, Value("one")).ok());
  EXPECT_TRUE(doc.ListInsert(list, 1, Value("two")).ok());
  EXPECT_TRUE(doc.ListInsertContainer(list, 1, ContainerKind::kMap).ok());
  EXPECT_TRUE(doc.ListDelete(list, 0, 1).ok());
  EXPECT_TRUE(doc.ListInsert(movable, 0, Value(int64_t{1})).ok());
  EXPECT_TRUE(doc.ListInsert(movable, 1, Value(int64_t{2})).ok());
  EXPECT_TRUE(doc.MovableListMove(movable, 0, 1).ok());
  EXPECT_TRUE(doc.MovableListSet(movable, 0, Value("set")).ok());
  EXPECT_TRUE(doc.ListDelete(movable, 1, 1).ok());
  const Id node = *doc.TreeCreate(tree, std::nullopt, std::nullopt);
  const Id leaf = *doc.TreeCreate(tree, node, std::nullopt);
  EXPECT_TRUE(doc.TreeMoveNode(tree, leaf, std::nullopt, 0).ok());
  EXPECT_TRUE(doc.TreeDelete(tree, leaf).ok());
  EXPECT_TRUE(doc.CounterIncrement(counter, 2.5).ok());
  EXPECT_TRUE(doc.CounterIncrement(counter, -3).ok());
  const ContainerId body = *doc.MapEnsureMergeable(map, "body", ContainerKind::kText);
  EXPECT_TRUE(doc.TextInsert(body, 0, "mergeable").ok());
  doc.Commit();
  return doc;
}

Document Imported(const std::string& json) {
  Document doc(9);
  const Result<ImportStatus> status = doc.ImportJson(json);
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().ToString());
  return doc;
}

TEST(JsonUpdatesTest, AreTheSameOps) {
  Document doc = Everything();
  const std::string json = doc.ExportJson();
  Document copy = Imported(json);
  EXPECT_EQ(copy.ExportJson(), json);
  EXPECT_EQ(copy.ToJson(), doc.ToJson());
  EXPECT_EQ(copy.version(), doc.version());
  EXPECT_EQ(copy.frontiers(), doc.frontiers());
  // The blocks decode to the same, too: a document that has both has each op once.
  ASSERT_TRUE(copy.Import(doc.ExportSnapshot()).ok());
  EXPECT_EQ(copy.ExportJson(), json);
  copy.CheckInvariants();

  Document from_binary(10);
  ASSERT_TRUE(from_binary.Import(copy.ExportUpdates({})).ok());
  EXPECT_EQ(from_binary.ExportJson(), json);
  EXPECT_EQ(from_binary.ToJson(), doc.ToJson());
}

TEST(JsonUpdatesTest, AnyRangeCanBeCutOut) {
  Document doc = Everything();
  const VersionVector whole = doc.version();
  const auto entries = whole.entries();
  for (const VersionVector::Entry& entry : entries) {
    for (Counter cut = 1; cut < entry.end; ++cut) {
      VersionVector at;
      // Peer 5 wrote first, the other after all of it.
      if (entry.peer != 5) at.Set(5, whole.End(5));
      at.Set(entry.peer, cut);
      Document part = Imported(doc.ExportJson({}, at));
      EXPECT_EQ(part.version(), at);
      Document expected(9);
      // A mark's start and end travel together or not at all, as far as edits go.
      ASSERT_TRUE(part.ImportJson(doc.ExportJson(at, whole)).ok()) << cut << "@" << entry.peer;
      EXPECT_EQ(part.ToJson(), doc.ToJson());
      EXPECT_EQ(part.version(), whole);
    }
  }
}

TEST(JsonUpdatesTest, TextOfOneSmallUpdate) {
  Document doc(7);
  ASSERT_TRUE(doc.MapSet(Root("m", ContainerKind::kMap), "k", Value(1.0)).ok());
  ASSERT_TRUE(doc.Commit({.timestamp = 3, .message = "hi"}).ok());
  EXPECT_EQ(doc.ExportJson(),
            R"({"schema_version":1,"start_version":{},"peers":["7"],"changes":[)"
            R"({"id":"0@0","timestamp":3,"deps":[],"lamport":0,"msg":"hi","ops":[)"
            R"({"container":"cid:root-m:Map","content":{"type":"insert","key":"k","value":1.0},)"
            R"("counter":0}]}]})");
  VersionVector known = doc.version();
  EXPECT_EQ(doc.ExportJson(known, known),
            R"({"schema_version":1,"start_version":{"7":0},"peers":[],"changes":[]})");
}

TEST(JsonUpdatesTest, TrimmedHistoryIsNotThere) {
  const ContainerId text = Root("t", ContainerKind::kText);
  Document doc(1);
  ASSERT_TRUE(doc.TextInsert(text, 0, "hello").ok());
  ASSERT_TRUE(doc.Commit({.message = "a"}).ok());
  ASSERT_TRUE(doc.TextInsert(text, 5, " w").ok());
  ASSERT_TRUE(doc.Commit({.message = "b"}).ok());
  Document shallow(2);
  ASSERT_TRUE(shallow.Import(doc.ExportShallowSnapshot({{1, 5}}).value()).ok());
  // As loro-crdt writes it.
  const std::string retained =
      R"({"schema_version":1,"start_version":{"1":5},"peers":["1"],"changes":[)"
      R"({"id":"5@0","timestamp":0,"deps":["4@0"],"lamport":5,"msg":"b","ops":[)"
      R"({"container":"cid:root-t:Text","content":{"type":"insert","pos":5,"text":" w"},)"
      R"("counter":5}]}]})";
  EXPECT_EQ(shallow.ExportJson(), retained);
  VersionVector trimmed;
  trimmed.Set(1, 2);
  EXPECT_EQ(shallow.ExportJson(trimmed, shallow.version()), retained);
  EXPECT_TRUE(shallow.ImportJson(doc.ExportJson()).ok());
}

// One op on one container, as JSON updates of peer 7.
std::string OneOp(const std::string& container, const std::string& content) {
  return R"({"schema_version":1,"start_version":{},"peers":["7"],"changes":[{"id":"0@0",)"
         R"("timestamp":0,"deps":[],"lamport":0,"msg":null,"ops":[{"container":")" +
         container + R"(","content":)" + content + R"(,"counter":0}]}]})";
}

std::string MapSet(const std::string& value) {
  return OneOp("cid:root-m:Map", R"({"type":"insert","key":"k","value":)" + value + "}");
}

TEST(JsonUpdatesTest, WhatLoroAcceptsIsAccepted) {
  const auto shown = [](const std::string& json) { return Imported(json).ToJson(); };
  EXPECT_EQ(shown(MapSet("18446744073709551615")), R"({"m":{"k":18446744073709551616}})");
  EXPECT_EQ(shown(MapSet(R"("🦜hello")")), R"({"m":{"k":"🦜hello"}})");
  EXPECT_EQ(shown(MapSet(R"("🦜:cid:0@0:Map")")), R"({"m":{"k":{}}})");
  EXPECT_EQ(shown(MapSet(R"({"a":1,"a":2})")), R"({"m":{"k":{"a":2}}})");
  for (const char* content : {R"({"type":"counter","value_type":"f64","value":1.5,"prop":0})",
                              R"({"type":"unknown","value_type":"f64","value":1.5,"prop":0})",
                              R"({"value_type":"f64","value":1.5})"}) {
    EXPECT_EQ(shown(OneOp("cid:root-c:Counter", content)), R"({"c":1.5})");
  }
  EXPECT_EQ(
      shown(OneOp("cid:root-t:Tree", R"({"type":"create","target":"0@0","parent":null})")),
      shown(OneOp("cid:root-t:Tree",
                  R"({"type":"move","target":"0@0","parent":null,"fractional_index":"80"})")));
  // Without a table, peers are written out.
  std::string plain = MapSet("1");
  plain.replace(plain.find(R"(["7"])"), 5, "null");
  plain.replace(plain.find("0@0"), 3, "0@7");
  EXPECT_EQ(Imported(plain).version().End(7), 1);
  // Other fields are for other programs.
  std::string more = MapSet("1");
  more.insert(1, R"("comment":"x",)");
  EXPECT_EQ(shown(more), R"({"m":{"k":1}})");
}

TEST(JsonUpdatesTest, WhatLoroRefusesIsRefused) {
  const auto refusal = [](const std::string& json) {
    Document doc(9);
    const Result<ImportStatus> status = doc.ImportJson(json);
    EXPECT_FALSE(status.ok()) << json;
    EXPECT_EQ(doc.op_count(), 0u);
    return status.ok() ? std::string() : status.error().ToString();
  };
  EXPECT_EQ(refusal(MapSet("1e400")), "invalid_argument: JSON updates: not JSON at byte 210");
  EXPECT_EQ(refusal("{"), "invalid_argument: JSON updates: not JSON at byte 2");
  EXPECT_EQ(refusal(MapSet(R"("🦜:cid:1@0:Map")")),
            "invalid_argument: JSON updates: changes[0]: ops[0]: content: container cid:1@7:Map is "
            "not named after the op that creates it");
  refusal("[]");
  refusal("");
  refusal(MapSet("1") + "x");
  refusal(MapSet(R"("\ud800")"));
  refusal(MapSet(R"("🦜:hello")"));
  refusal(MapSet(R"("🦜:cid:root-x:Map")"));
  refusal(MapSet(R"(["🦜:cid:0@0:Map"])"));
  refusal(MapSet(std::string(200, '[') + std::string(200, ']')));
  refusal(OneOp("cid:root-m:Map", R"({"type":"insert","key":"k"})"));
  refusal(OneOp("cid:root-m:Nap", R"({"type":"delete","key":"k"})"));
  refusal(OneOp("cid:root-m:Map", R"({"type":"mark_end"})"));
  refusal(OneOp("cid:5@3:Map", R"({"type":"delete","key":"k"})"));
  refusal(OneOp("cid:root-t:Text", R"({"type":"insert","pos":-1,"text":"a"})"));
  refusal(OneOp("cid:root-t:Text", R"({"type":"insert","pos":0,"text":""})"));
  refusal(OneOp("cid:root-t:Text", R"({"type":"insert","pos":9,"text":"a"})"));
  refusal(OneOp("cid:root-t:Text", R"({"type":"delete","pos":0,"len":0,"start_id":"1@0"})"));
  refusal(OneOp("cid:root-t:Tree",
                R"({"type":"create","target":"1@0","parent":null,"fractional_index":"80"})"));
  refusal(OneOp("cid:root-t:Tree",
                R"({"type":"create","target":"0@0","parent":null,"fractional_index":"8"})"));
  refusal(OneOp("cid:root-t:Tree", R"({"type":"create","target":"0@0"})"));
  const auto changed = [](const std::string& from, const std::string& to) {
    std::string json = MapSet("1");
    json.replace(json.find(from), from.size(), to);
    return json;
  };
  EXPECT_EQ(refusal(changed(R"("schema_version":1)", R"("schema_version":2)")),
            "unsupported: JSON updates: schema version 2, not 1");
  refusal(changed(R"("start_version":{},)", ""));
  refusal(changed(R"("start_version":{})", R"("start_version":{"7":-1})"));
  refusal(changed(R"("timestamp":0)", R"("timestamp":1.5)"));
  refusal(changed(R"("timestamp":0,)", ""));
  refusal(changed(R"("peers":["7"],)", ""));
  refusal(changed(R"(["7"])", R"(["18446744073709551615"])"));
  refusal(changed(R"(["7"])", "[]"));
  refusal(changed(R"(["7"])", "[7]"));
  refusal(changed(R"("lamport":0)", R"("lamport":4294967296)"));
  refusal(changed(R"("counter":0)", R"("counter":1)"));
  refusal(changed(R"("id":"0@0")", R"("id":"2147483647@0")"));
}

// What is at the ends of ranges is refused before it is calculated with.
TEST(JsonUpdatesTest, NumbersAtTheEndOfTheirRange) {
  const auto updates = [](const std::string& counter, const std::string& timestamp) {
    return R"({"schema_version":1,"start_version":{},"peers":["1"],"changes":[{"id":")" + counter +
           R"(@0","timestamp":)" + timestamp +
           R"(,"deps":[],"lamport":0,"msg":null,"ops":[{"container":"cid:root-l:List","counter":)" +
           counter + R"(,"content":{"type":"insert","pos":0,"value":[1,2,3]}}]}]})";
  };
  const auto code = [&](const std::string& counter, const std::string& timestamp) {
    Document doc(9);
    const Result<ImportStatus> status = doc.ImportJson(updates(counter, timestamp));
    EXPECT_FALSE(status.ok());
    return status.ok() ? ErrorCode::kBusy : status.error().code();
  };
  EXPECT_EQ(code("2147483646", "0"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("0", "1152921504606846977"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("0", "-9223372036854775808"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(Imported(updates("0", "1152921504606846976")).op_count(), 3U);
}

TEST(JsonUpdatesTest, MissingDependenciesArePending) {
  std::string json = MapSet("1");
  json.replace(json.find(R"("deps":[])"), 9, R"("deps":["4@0"])");
  Document doc(9);
  EXPECT_FALSE(doc.ImportJson(json).ok())
      << "an op of its own peer that does not come right before";
  json.replace(json.find(R"(["7"])"), 5, R"(["7","8"])");
  json.replace(json.find("4@0"), 3, "4@1");
  const Result<ImportStatus> status = doc.ImportJson(json);
  ASSERT_TRUE(status.ok());
  EXPECT_TRUE(status->success.empty());
  EXPECT_EQ(status->pending, (std::vector<IdSpan>{{7, 0, 1}}));
}

// Ops of a container of a later release, with each kind of payload.
TEST(JsonUpdatesTest, UnknownContainersAreKept) {
  const std::vector<std::string> payloads = {
      R"("value_type":"null")",
      R"("value_type":"true")",
      R"("value_type":"false")",
      R"("value_type":"i64","value":-9223372036854775808)",
      R"("value_type":"f64","value":-0.0)",
      R"("value_type":"str","value":"ключ")",
      R"("value_type":"binary","value":[0,255])",
      R"("value_type":"container_idx","value":3)",
      R"("value_type":"delete_once")",
      R"("value_type":"delete_seq")",
      R"("value_type":"delta_int","value":-5)",
      R"("value_type":"loro_value","value":{"a":[1,{"b":null}]})",
      R"("value_type":"mark_start","value":{"len":2,"key":"bold","value":true,"info":132})",
      R"("value_type":"tree_move","value":{"target_idx":1,"is_parent_null":false,"position":3,"parent_idx":2})",
      R"("value_type":"tree_move","value":{"target_idx":1,"is_parent_null":true,"position":3,"parent_idx":0})",
      R"("value_type":"list_move","value":{"from":1,"from_idx":2,"lamport":3})",
      R"("value_type":"list_set","value":{"peer_idx":0,"lamport":3,"value":"x"})",
      R"("value_type":"raw_tree_move","value":{"subject_peer_idx":0,"subject_cnt":4,"position_idx":1,"is_parent_null":false,"parent_peer_idx":0,"parent_cnt":6})",
      R"("value_type":"Unknown","value":{"kind":60,"data":[1,2]})",
  };
  for (const std::string& payload : payloads) {
    const std::string json =
        OneOp("cid:root-new:Unknown(9)", R"({"type":"unknown","prop":-3,)" + payload + "}");
    Document doc = Imported(json);
    EXPECT_EQ(doc.ExportJson(), json);
    EXPECT_EQ(doc.ToJson(), R"({"new":null})");
    Document copy(10);
    ASSERT_TRUE(copy.Import(doc.ExportUpdates({})).ok()) << payload;
    EXPECT_EQ(copy.ExportJson(), json);
  }
  Document doc(9);
  for (const char* payload : {R"("value_type":"nul")", R"("value_type":"i64")",
                              R"("value_type":"delta_int","value":3000000000)",
                              R"("value_type":"Unknown","value":{"kind":5,"data":[]})",
                              R"("value_type":"Unknown","value":{"kind":60,"data":[256]})",
                              R"("value_type":"list_move","value":{"from":1})"}) {
    EXPECT_FALSE(doc.ImportJson(OneOp("cid:root-new:Unknown(9)", R"({"type":"unknown","prop":0,)" +
                                                                     std::string(payload) + "}"))
                     .ok())
        << payload;
  }
  EXPECT_FALSE(doc.ImportJson(OneOp("cid:root-new:Unknown(5)",
                                    R"({"type":"unknown","prop":0,"value_type":"null"})"))
                   .ok());
}

// loro-crdt 1.17.1 accepts the start of a mark without its end, which nothing but a hand writes,
// and whatever its writer does then: it is an anchor that styles nothing. An end without its start
// stops it.
TEST(JsonUpdatesTest, AMarkWithoutItsEndIsAnAnchor) {
  const auto update = [](const std::string& ops) {
    return R"({"schema_version":1,"start_version":{},"peers":["1","2"],"changes":[{"id":"0@0",)"
           R"("timestamp":0,"deps":["4@1"],"lamport":5,"msg":null,"ops":[)" +
           ops + "]}]}";
  };
  const auto op = [](int counter, const std::string& content) {
    return R"({"container":"cid:root-t:Text","content":)" + content + R"(,"counter":)" +
           std::to_string(counter) + "}";
  };
  const std::string mark = R"({"type":"mark","start":0,"end":3,"style_key":"bold",)"
                           R"("style_value":true,"info":132})";
  const std::string end = R"({"type":"mark_end"})";
  const auto insert = [](int position) {
    return R"({"type":"insert","pos":)" + std::to_string(position) + R"(,"text":"x"})";
  };
  const ContainerId text = Root("t", ContainerKind::kText);
  Document base(2);
  ASSERT_TRUE(base.TextInsert(text, 0, "hello").ok());
  const Bytes blob = base.ExportUpdates({});
  for (const std::string& ops :
       {op(0, end), op(0, insert(0)) + "," + op(1, end),
        op(0, mark) + "," + op(1, end) + "," + op(2, end),
        op(0, mark) +
            R"(,{"container":"cid:root-u:Text","content":{"type":"mark_end"},"counter":1})",
        op(0, mark) + "," + op(1, insert(7))}) {
    Document doc(1);
    ASSERT_TRUE(doc.Import(blob).ok());
    EXPECT_FALSE(doc.ImportJson(update(ops)).ok()) << ops;
    EXPECT_EQ(doc.version(), base.version());
  }
  struct Case {
    std::string ops;
    std::string shown;   // what loro-crdt shows, ...
    std::string edited;  // ... and after the edits below
  };
  for (const Case& each : {Case{op(0, mark), "hello", "AhBelloE"},
                           Case{op(0, mark) + "," + op(1, insert(0)), "xhello", "AxBhelloE"},
                           Case{op(0, mark) + "," + op(1, insert(1)), "xhello", "AxBhelloE"},
                           Case{op(0, mark) + "," + op(1, insert(5)), "hellxo", "AhBellxoE"},
                           Case{op(0, mark) + "," + op(1, insert(6)), "hellox", "AhBelloxE"},
                           Case{op(0, mark) + "," + op(1, mark), "hello", "AhBelloE"}}) {
    SCOPED_TRACE(each.ops);
    // The peer's own mark, and another's.
    for (const PeerId peer : {1, 3}) {
      Document doc(peer);
      ASSERT_TRUE(doc.Import(blob).ok());
      const Result<ImportStatus> status = doc.ImportJson(update(each.ops));
      ASSERT_TRUE(status.ok()) << status.error().ToString();
      EXPECT_EQ(doc.Text(text), each.shown);
      ASSERT_TRUE(doc.TextInsert(text, doc.Length(text), "E").ok());
      ASSERT_TRUE(doc.TextInsert(text, 1, "B").ok());
      ASSERT_TRUE(doc.TextInsert(text, 0, "A").ok());
      ASSERT_TRUE(doc.TextMark(text, 2, 4, "bold", Value(true), StyleExpand::kAfter).ok());
      doc.Commit();
      EXPECT_EQ(doc.Text(text), each.edited);
      std::string delta;
      doc.AppendDelta(text, &delta);
      EXPECT_EQ(Json::parse(delta).size(), 3u) << delta;
      const auto expect_same = [&](Document copy) {
        std::string copied;
        copy.AppendDelta(text, &copied);
        EXPECT_EQ(copied, delta);
        EXPECT_EQ(copy.version(), doc.version());
        copy.CheckInvariants();
      };
      Document imported(9);
      ASSERT_TRUE(imported.Import(doc.ExportUpdates({})).ok());
      expect_same(std::move(imported));
      Document loaded(9);
      ASSERT_TRUE(loaded.Load(doc.ExportSnapshot()).ok());
      expect_same(std::move(loaded));
      // The lone mark does not keep history from being trimmed.
      const Result<Bytes> trimmed = doc.ExportShallowSnapshot(doc.frontiers());
      ASSERT_TRUE(trimmed.ok());
      Document shallow(9);
      ASSERT_TRUE(shallow.Import(*trimmed).ok());
      EXPECT_TRUE(shallow.is_shallow());
      expect_same(std::move(shallow));
      expect_same(Imported(doc.ExportJson()));
    }
  }
}

// A set or a move names an element that it knows. Cases and answers are those of loro-crdt 1.17.1.
TEST(JsonUpdatesTest, AnElementThatAnOpCannotKnowIsRefused) {
  const ContainerId list = Root("l", ContainerKind::kMovableList);
  const auto update = [](const std::string& ops, const std::string& dep, int lamport,
                         const std::string& more = "") {
    return R"({"schema_version":1,"start_version":{},"peers":["1","2","3"],"changes":[)" + more +
           R"({"id":"0@0","timestamp":0,"deps":[")" + dep + R"("],"lamport":)" +
           std::to_string(lamport) + R"(,"msg":null,"ops":[)" + ops + "]}]}";
  };
  const auto op = [](int counter, const std::string& content) {
    return R"({"container":"cid:root-l:MovableList","content":)" + content + R"(,"counter":)" +
           std::to_string(counter) + "}";
  };
  const std::string insert = R"({"type":"insert","pos":0,"value":["n"]})";
  const auto show = [](Document doc, const std::string& json) {
    const Result<ImportStatus> status = doc.ImportJson(json);
    if (!status.ok()) return std::string("refused");
    doc.CheckInvariants();
    Document copy(9);
    EXPECT_TRUE(copy.Import(doc.ExportUpdates({})).ok());
    EXPECT_EQ(copy.ToJson(), doc.ToJson());
    return doc.ToJson();
  };
  const auto base = [&list] {
    Document doc(2);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(doc.ListInsert(list, i, Value(std::string(1, static_cast<char>('a' + i)))).ok());
    }
    doc.Commit();
    return doc;
  };
  for (const bool is_move : {false, true}) {
    SCOPED_TRACE(is_move ? "move" : "set");
    const auto about = [is_move](const std::string& element) {
      return is_move ? R"({"type":"move","from":0,"to":1,"elem_id":")" + element + R"("})"
                     : R"({"type":"set","value":5,"elem_id":")" + element + R"("})";
    };
    // With and without an op that is concurrent.
    for (const bool is_concurrent : {false, true}) {
      SCOPED_TRACE(is_concurrent);
      const auto start = [&] {
        Document doc = base();
        EXPECT_TRUE(!is_concurrent || doc.ListInsert(list, 3, Value("z")).ok());
        doc.Commit();
        return doc;
      };
      const std::string z = is_concurrent ? R"(,"z")" : "";
      EXPECT_EQ(show(start(), update(op(0, about("L77@1")), "2@1", 3)), "refused");
      EXPECT_EQ(show(start(), update(op(0, about("L77@0")), "2@1", 3)), "refused");
      EXPECT_EQ(show(start(), update(op(0, about("L0@1")), "2@1", 3)),
                is_move ? R"({"l":["b","a","c")" + z + "]}" : R"({"l":[5,"b","c")" + z + "]}");
      // Its own, before and after it was inserted.
      EXPECT_EQ(
          show(start(), update(op(0, insert) + "," + op(1, about("L3@0")), "2@1", 3)),
          is_move ? R"({"l":["a","n","b","c")" + z + "]}" : R"({"l":[5,"a","b","c")" + z + "]}");
      EXPECT_EQ(show(start(), update(op(0, about("L4@0")) + "," + op(1, insert), "2@1", 3)),
                "refused");
    }
    // Of a concurrent op, which was there before or comes along.
    Document other(3);
    ASSERT_TRUE(other.Import(base().ExportUpdates({})).ok());
    ASSERT_TRUE(other.ListInsert(list, 3, Value("z")).ok());
    Document both = base();
    ASSERT_TRUE(both.Import(other.ExportUpdates({})).ok());
    EXPECT_EQ(show(std::move(both), update(op(0, about("L3@2")), "2@1", 4)), "refused");
    EXPECT_EQ(show(base(), update(op(0, about("L3@2")), "2@1", 4,
                                  R"({"id":"0@2","timestamp":0,"deps":["2@1"],"lamport":3,)"
                                  R"("msg":null,"ops":[)" +
                                      op(0, R"({"type":"insert","pos":3,"value":["z"]})") + "]},")),
              "refused");
    // Deleted; of another list; the id of a set.
    Document deleted = base();
    ASSERT_TRUE(deleted.ListDelete(list, 0, 1).ok());
    EXPECT_EQ(show(std::move(deleted), update(op(0, about("L0@1")), "3@1", 4)),
              is_move ? R"({"l":["c","a"]})" : R"({"l":["b","c"]})");
    Document elsewhere = base();
    ASSERT_TRUE(elsewhere.ListInsert(Root("k", ContainerKind::kMovableList), 0, Value("kk")).ok());
    EXPECT_EQ(show(std::move(elsewhere), update(op(0, about("L3@1")), "3@1", 4)), "refused");
    Document written = base();
    ASSERT_TRUE(written.MovableListSet(list, 0, Value("Q")).ok());
    EXPECT_EQ(show(std::move(written), update(op(0, about("L3@1")), "3@1", 4)), "refused");
  }
}

// Documents that loro-crdt made (test/vectors/loro/generate_json_updates.mjs).
TEST(JsonUpdatesTest, MeanWhatLoroMeans) {
  std::ifstream file(MERROW_VECTORS "/loro/json_updates.json");
  const Json vectors = Json::parse(file);
  ASSERT_GE(vectors.size(), 8u);
  for (const Json& vector : vectors) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    Document from_json = Imported(vector["updates"]);
    Document from_blob(9);
    ASSERT_TRUE(from_blob.Import(FromBase64(vector["blob"].get<std::string>()).value()).ok());
    EXPECT_EQ(Json::parse(from_json.ToJson()), vector["json"]);
    EXPECT_EQ(from_blob.ToJson(), from_json.ToJson());
    EXPECT_EQ(from_blob.version(), from_json.version());
    EXPECT_EQ(Json::parse(from_blob.ExportJson()), Json::parse(from_json.ExportJson()));
    // Of changes with equal lamports Loro writes any first, so only one peer's are the same text.
    // Numbers compare by value: JavaScript writes whole doubles as integers.
    const Json updates = Json::parse(vector["updates"].get<std::string>());
    if (updates["peers"].size() > 1) continue;
    EXPECT_EQ(Json::parse(from_blob.ExportJson()), updates);
  }
}

// A change that is longer than a block may be.
TEST(JsonUpdatesTest, LongChangesAreCut) {
  constexpr int kOps = 70000;
  std::string json =
      R"({"schema_version":1,"start_version":{},"peers":["7"],"changes":[{"id":"0@0",)"
      R"("timestamp":0,"deps":[],"lamport":0,"msg":null,"ops":[)";
  for (int i = 0; i < kOps; ++i) {
    if (i > 0) json += ',';
    json += R"({"container":"cid:root-m:Map","content":{"type":"insert","key":"k","value":)" +
            std::to_string(i) + R"(},"counter":)" + std::to_string(i) + "}";
  }
  json += "]}]}";
  Document doc = Imported(json);
  EXPECT_EQ(doc.op_count(), uint64_t{kOps});
  EXPECT_EQ(doc.ToJson(), R"({"m":{"k":69999}})");
}

}  // namespace
}  // namespace merrow::loro
