// SPDX-License-Identifier: Apache-2.0
#include "cli/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "cli/folder_test_util.h"

namespace merrow::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OutputFileTest : public FolderTest {
 protected:
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder())) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  std::istringstream in_;
  std::ostringstream out_, err_;
  DocIo io_{in_, out_, err_};
};

TEST_F(OutputFileTest, AppearsWholeOrNotAtAll) {
  {
    OutputFile file(Path("a"), io_);
    ASSERT_TRUE(file.Write("half").ok());
    EXPECT_FALSE(std::filesystem::exists(Path("a")));
  }
  EXPECT_THAT(Names(), IsEmpty());
  OutputFile file(Path("a"), io_);
  ASSERT_TRUE(file.Write("ha").ok());
  ASSERT_TRUE(file.Write("lf").ok());
  ASSERT_TRUE(file.Finish().ok());
  EXPECT_EQ(Read("a"), "half");
  EXPECT_EQ(file.bytes(), 4U);
  EXPECT_THAT(Names(), ElementsAre("a"));
}

/// Such as two backups, of which the first takes longer than the time until the next.
TEST_F(OutputFileTest, OfTwoAtOnceTheSecondIsRefused) {
  OutputFile first(Path("a"), io_);
  ASSERT_TRUE(first.Write("the first").ok());
  {
    OutputFile second(Path("a"), io_);
    const Status refused = second.Write("second");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), ErrorCode::kBusy);
    EXPECT_THAT(refused.error().message(), HasSubstr(Path("a")));
  }
  ASSERT_TRUE(first.Write(" one").ok());
  ASSERT_TRUE(first.Finish().ok());
  EXPECT_EQ(Read("a"), "the first one");
  OutputFile third(Path("a"), io_);
  ASSERT_TRUE(third.Write("third").ok());
  ASSERT_TRUE(third.Finish().ok());
  EXPECT_EQ(Read("a"), "third");
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(OutputFileTest, WhatAKilledOneLeftIsReplaced) {
  Write("a.partial", "of somebody who was killed, and longer");
  OutputFile file(Path("a"), io_);
  ASSERT_TRUE(file.Write("new").ok());
  ASSERT_TRUE(file.Finish().ok());
  EXPECT_EQ(Read("a"), "new");
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(OutputFileTest, ALinkStaysALink) {
  // One to nothing is such as into a disk that will be mounted.
  for (const bool is_to_nothing : {false, true}) {
    const std::string target = is_to_nothing ? "nothing" : "target";
    const std::string link = "link to " + target;
    if (!is_to_nothing) Write(target, "old");
    std::filesystem::create_symlink(target, Path(link));
    OutputFile file(Path(link), io_);
    ASSERT_TRUE(file.Write("new").ok());
    ASSERT_TRUE(file.Finish().ok());
    EXPECT_TRUE(std::filesystem::is_symlink(Path(link)));
    EXPECT_EQ(Read(target), "new");
  }
}

/// A backup that nobody else may read goes on like that.
TEST_F(OutputFileTest, AFileThatIsReplacedKeepsWhoMayReadIt) {
  Write("a", "old");
  ASSERT_EQ(::chmod(Path("a").c_str(), 0600), 0);
  OutputFile file(Path("a"), io_);
  ASSERT_TRUE(file.Write("new").ok());
  struct stat status = {};
  ASSERT_EQ(::stat(Path("a.partial").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  ASSERT_TRUE(file.Finish().ok());
  ASSERT_EQ(::stat(Path("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(Read("a"), "new");
}

/// Whoever has opened it can read what is written later. Looks often enough to see it most times.
TEST_F(OutputFileTest, AtNoTimeMoreMayReadItThanWhatItReplaces) {
  Write("a", "old");
  ASSERT_EQ(::chmod(Path("a").c_str(), 0600), 0);
  std::atomic<bool> stop = false;
  std::atomic<bool> was_open = false;
  std::thread watcher([&] {
    while (!stop) {
      struct stat status = {};
      if (::stat(Path("a.partial").c_str(), &status) == 0 && (status.st_mode & 0077) != 0)
        was_open = true;
    }
  });
  for (int i = 0; i < 100; ++i) {
    OutputFile file(Path("a"), io_);
    ASSERT_TRUE(file.Write("new").ok());
  }
  stop = true;
  watcher.join();
  EXPECT_FALSE(was_open);
}

/// In a folder that all may write, the name of what is written to can be a link to anywhere.
TEST_F(OutputFileTest, NoLinkIsFollowedThatNobodyAskedFor) {
  Write("precious", "data");
  std::filesystem::create_symlink("precious", Path("a.partial"));
  OutputFile file(Path("a"), io_);
  EXPECT_FALSE(file.Write("new").ok());
  EXPECT_EQ(Read("precious"), "data");
}

TEST_F(OutputFileTest, WhatIsNoFileIsWrittenAsItIs) {
  OutputFile null("/dev/null", io_);
  EXPECT_TRUE(null.Write("x").ok());
  EXPECT_TRUE(null.Finish().ok());
  OutputFile standard("-", io_);
  EXPECT_TRUE(standard.Write("x").ok());
  EXPECT_TRUE(standard.Finish().ok());
  EXPECT_EQ(out_.str(), "x");
  OutputFile at_folder(folder(), io_);
  EXPECT_FALSE(at_folder.Write("x").ok());
  OutputFile full("/dev/full", io_);
  EXPECT_FALSE(full.Write("x").ok());
  EXPECT_FALSE(full.Finish().ok());
}

}  // namespace
}  // namespace merrow::cli
