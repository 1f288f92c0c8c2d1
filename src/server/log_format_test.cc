// SPDX-License-Identifier: Apache-2.0
#include "server/log_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <sstream>

#include "base/bytes.h"

namespace merrow::server {
namespace {

TEST(LogFormatTest, NobodyElsesTextBreaksALineOrSteersATerminal) {
  EXPECT_EQ(LogText("a plain line, ü and \xE2\x82\xAC"), "a plain line, ü and \xE2\x82\xAC");
  EXPECT_EQ(LogText("x\r\n2026 error y\t\x1B[2J\x7F"), "x??2026 error y??[2J?");
  EXPECT_EQ(LogText(std::string_view("a\0b", 3)), "a?b");
  EXPECT_EQ(LogText("next line \xC2\x85, \xC2\x9B[2J; no control: \xC2\xA0"),
            "next line ?, ?[2J; no control: \xC2\xA0");
  EXPECT_EQ(LogText("\xFF\xC2"), "??");
}

TEST(LogFormatTest, LongTextIsCutBetweenCharacters) {
  const std::string longest(kLogTextBytesMax, 'x');
  EXPECT_EQ(LogText(longest), longest);
  EXPECT_EQ(LogText(longest + "y"), longest + "...");
  const std::string cut = LogText(longest.substr(1) + "\xE2\x82\xAC and more");
  EXPECT_EQ(cut, longest.substr(1) + "...");
}

TEST(LogFormatTest, ALineHasTimeLevelAndText) {
  std::ostringstream out;
  spdlog::logger logger("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  logger.set_formatter(MakeLogFormatter());
  logger.warn("from a peer: {}", "one\ntwo");
  EXPECT_THAT(out.str(),
              ::testing::MatchesRegex("....-..-..T..:..:......Z warning from a peer: one.two\n"));
}

}  // namespace
}  // namespace merrow::server
