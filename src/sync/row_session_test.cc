// SPDX-License-Identifier: Apache-2.0
//
// Sessions of the row frames dialect, case by case.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sync/hub_test_util.h"

namespace merrow::sync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RowSessionTest : public HubTest {};

TEST_F(RowSessionTest, RowsSubscribePushAndReceive) {
  Hub hub = MakeHub();
  Wire a(hub, Dialect::kRowFrames);
  Wire b(hub, Dialect::kRowFrames);
  a.SendText(Subscribe());
  b.SendText(Subscribe("n1", "AA=="));
  source.RunAll();
  EXPECT_THAT(a.Received(), ElementsAre("snapshot {}"));
  EXPECT_THAT(b.Received(),
              ElementsAre(R"({"type":"crdt-synced","entity":"note","rowId":"n1","vv":"AA=="})"));
  ModelDocument document;
  a.Send(Push(7, document.Edit(9, 5)));
  source.RunAll();
  EXPECT_THAT(
      a.Received(),
      ElementsAre(R"({"type":"crdt-ack","entity":"note","rowId":"n1","pushId":7,"vv":"AQkK"})"));
  EXPECT_THAT(b.Received(), ElementsAre("update {9: 5}"));
  // A client that returns with its version gets only what it lacks, then the server's version.
  Wire c(hub, Dialect::kRowFrames);
  ASSERT_TRUE(c.document.Import(DecodeBlob(document.ExportSince({})).value()));
  a.Send(Push(8, document.Edit(9, 1)));
  source.RunAll();
  c.SendText(Subscribe("n1", "AQkK"));
  source.RunAll();
  EXPECT_THAT(c.Received(),
              ElementsAre("update {9: 6}",
                          R"({"type":"crdt-synced","entity":"note","rowId":"n1","vv":"AQkM"})"));
  b.SendText(R"({"type":"crdt-unsubscribe","entity":"note","rowId":"n1"})");
  b.Received();
  a.Send(Push(9, document.Edit(9, 1)));
  source.RunAll();
  EXPECT_THAT(b.Received(), ElementsAre());
  EXPECT_THAT(c.Received(), ElementsAre("update {9: 7}"));
}

TEST_F(RowSessionTest, RowsRefusals) {
  Limits limits;
  limits.rooms_per_session_max = 1;
  limits.update_bytes_max = 1000;
  limits.row_message_bytes_max = 2000;
  limits.row_text_bytes_max = 300;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kRowFrames);
  const auto code = [&]() -> std::string {
    source.RunAll();
    const auto lines = wire.Received();
    if (lines.size() != 1) return std::to_string(lines.size()) + " lines";
    const Json text = Json::parse(lines[0]);
    return text.value("type", "") + " " + text.value("code", "") + " " + text.value("entity", "-") +
           (text.contains("pushId") ? " push " + std::to_string(text["pushId"].get<int>()) : "");
  };
  wire.SendText(R"({"type":"crdt-subscribe","entity":"other","rowId":"n1"})");
  EXPECT_EQ(code(), "crdt-error unknown_table other");
  wire.SendText(Subscribe("a!"));
  EXPECT_EQ(code(), "crdt-error invalid_key note");
  wire.SendText(Subscribe(""));
  EXPECT_EQ(code(), "crdt-error invalid_key note");
  wire.SendText("{");
  EXPECT_EQ(code(), "crdt-error malformed -");
  wire.SendText(Subscribe("n1", "!!"));
  EXPECT_EQ(code(), "crdt-error malformed note");
  wire.SendText(R"({"type":"crdt-resync","entity":"note","rowId":"n1","vv":"AA=="})");
  EXPECT_EQ(code(), "crdt-error not_subscribed note");
  wire.SendText(Subscribe(std::string(400, 'k')));
  EXPECT_EQ(code(), "crdt-error too_large -");
  wire.Send(Bytes(2001, 'x'));
  EXPECT_EQ(code(), "crdt-error too_large -");
  wire.Send("x");
  EXPECT_EQ(code(), "crdt-error malformed -");
  wire.Send(
      EncodeRowFrame({.type = RowFrameType::kUpdate, .table = "note", .key = "n1", .payload = {}}));
  EXPECT_EQ(code(), "crdt-error malformed note");
  ModelDocument document;
  document.Edit(9, 1);
  wire.Send(Push(1, document.Edit(9, 1)));
  EXPECT_EQ(code(), "crdt-error missing_dependencies note push 1");
  wire.Send(Push(2, "garbage"));
  EXPECT_EQ(code(), "crdt-error invalid_update note push 2");
  wire.Send(Push(3, Bytes(1001, 'x')));
  EXPECT_EQ(code(), "crdt-error too_large note push 3");
  wire.Send(Push(4, document.ExportSince({}), "other"));
  EXPECT_EQ(code(), "crdt-error unknown_table other push 4");
  source.fail_submit = IoError("disk");
  wire.Send(Push(5, document.ExportSince({})));
  EXPECT_EQ(code(), "crdt-error io note push 5");
  source.fail_submit = Busy("later");
  wire.Send(Push(6, document.ExportSince({})));
  EXPECT_EQ(code(), "crdt-error busy note push 6");
  EXPECT_EQ(source.version(kRow).ToString(), "{}");
  EXPECT_EQ(log.size(), 16U) << "one line for each";
}

TEST_F(RowSessionTest, RowsLimitOfSubscriptions) {
  Limits limits;
  limits.rooms_per_session_max = 1;
  Hub hub = MakeHub(limits);
  Wire wire(hub, Dialect::kRowFrames);
  wire.SendText(Subscribe("n1"));
  wire.SendText(Subscribe("n2"));
  source.RunAll();
  const auto lines = wire.Received();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[0], HasSubstr("too_many_rows"));
  EXPECT_EQ(lines[1], "snapshot {}");
}

TEST_F(RowSessionTest, MissingDependenciesTellTheServersVersion) {
  Hub hub = MakeHub();
  ModelDocument other;
  CommitElsewhere(hub, other, 7, 5);
  Wire wire(hub, Dialect::kRowFrames);
  ModelDocument document;
  document.Edit(9, 1);
  wire.Send(Push(1, document.Edit(9, 1)));
  source.RunAll();
  const Json text = Json::parse(wire.Received().at(0));
  EXPECT_EQ(text["code"], "missing_dependencies");
  EXPECT_EQ(text["vv"], "AQcK");
}

TEST_F(RowSessionTest, PingIsAnsweredInBothDialects) {
  Hub hub = MakeHub();
  for (const Dialect dialect : {Dialect::kLoroProtocol, Dialect::kRowFrames}) {
    Wire wire(hub, dialect);
    wire.SendText("ping");
    wire.SendText("pong");
    EXPECT_THAT(wire.Received(), ElementsAre("pong"));
  }
}

}  // namespace
}  // namespace merrow::sync
