// What surrounds a training: signals, the log, the options and the best state of a resumed run.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/common/program.h"
#include "apps/common/stop_signal.h"
#include "apps/model/saved_split.h"
#include "apps/train/image_data.h"
#include "apps/train/resumed_options.h"
#include "apps/train/run_files.h"
#include "apps/train/train_log.h"
#include "apps/video/video_data.h"
#include "io/checkpoint_file.h"
#include "tests/errors.h"

namespace ar::apps {
namespace {

namespace fs = std::filesystem;

TEST(StopSignal, AnIgnoredSignalStaysIgnored) {
  std::signal(SIGHUP, SIG_IGN);  // as nohup does
  {
    const StopSignal signal;
    std::raise(SIGHUP);
    EXPECT_FALSE(StopSignal::flag());
    std::raise(SIGTERM);
    EXPECT_EQ(StopSignal::received(), SIGTERM);
  }
  EXPECT_EQ(std::signal(SIGHUP, SIG_DFL), SIG_IGN);
}

TEST(StopSignal, WorkThatItEndsIsNoError) {
  CLI::App app;
  std::string name = "program";
  char* arguments[] = {name.data()};
  testing::internal::CaptureStderr();
  const int code = run_program(app, 1, arguments, []() -> int {
    const StopSignal signal;
    std::raise(SIGTERM);
    throw Stopped("stopped after 3 of 4");
  });
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "stopped after 3 of 4\n");
  EXPECT_EQ(code, 128 + SIGTERM);
}

class RunTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder); }
  void TearDown() override { fs::remove_all(folder); }
  const fs::path folder = fs::temp_directory_path() / ("ar_run_" + std::to_string(getpid()));
};

TEST_F(RunTest, ReadingTheDataCanBeStopped) {
  setenv("AR_CACHE", (folder / "cache").c_str(), 1);
  for (const char* name : {"data/a/1.avi", "data/b/2.avi"}) {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << "no picture";
  }
  const std::atomic<bool> stop = true;
  EXPECT_THROW(scan_folder(folder / "data", {}, {}, &stop), Stopped);
  EXPECT_THROW(prepare_videos({.lists = {.data_dir = folder / "data", .annots_dir = {}}}, Side::train, &stop), Stopped);
  unsetenv("AR_CACHE");
}

TEST_F(RunTest, OneRunAtATimeWritesACheckpointAndALog) {
  const std::string a = (folder / "m" / "a.pt").string(), log = (folder / "log").string();
  {
    const RunOutput first({.save_checkpoint = a, .logdir = log});
    EXPECT_ERROR(RunOutput({.save_checkpoint = a}),
                 a + ": another run is writing here; wait for it, or choose another --save-checkpoint");
    EXPECT_ERROR(RunOutput({.save_checkpoint = folder / "b.pt", .logdir = log}),
                 log + ": another run is writing here; wait for it, or choose another folder");
    EXPECT_NO_THROW(RunOutput({.save_checkpoint = folder / "m" / "b.pt"}));
  }
  EXPECT_NO_THROW(RunOutput({.save_checkpoint = a, .logdir = log}));
}

TEST(SeenSamples, AreKnownByTheirNames) {
  const SeenSamples seen = seen_samples({.train = {"a/1", "a/2"}, .validation = {"b/1"}}, {"a/2", "b/1", "b/2"});
  EXPECT_EQ(seen.trained_on, 1);
  EXPECT_EQ(seen.validated_on, 1);
  io::Value checkpoint;
  checkpoint["epoch"] = 1;
  EXPECT_TRUE(split_of(checkpoint).train.empty());
}

TEST_F(RunTest, ALogThatCannotBeWrittenEndsWithOneNote) {
  RunLog log({.folder = folder});
  std::ofstream(folder / "steps") << "no folder";
  TrainLog observer(log, {.epochs = 1, .training = 4, .validation = 0}, [](const EpochReport&) { fail("a report"); });
  testing::internal::CaptureStderr();
  observer.epoch_begins(0, 0);
  const RunningScores scores;
  for (int64_t step : {1, 2}) observer.step_ends({.step = step, .scores = scores, .lr = {0.1}});
  observer.epoch_ends({.epoch = 1, .step = 2, .training = scores, .lr = {0.1}});
  observer.run_ends(true);
  const std::string told = testing::internal::GetCapturedStderr();
  const size_t note = told.find("note: the log ends here, the training goes on: ");
  ASSERT_NE(note, std::string::npos) << told;
  EXPECT_EQ(told.find("note: ", note + 1), std::string::npos) << told;
  EXPECT_EQ(told.find("a report"), std::string::npos) << told;
}

/// What keep_options makes of the options `given` after a run with the options `saved`.
struct Kept {
  nlohmann::json options;
  TrainOptions train;
  std::string told;
};

Kept kept(const nlohmann::json& saved, const nlohmann::json& given, int64_t batch = 0) {
  io::Value checkpoint;
  checkpoint["options"] = saved.dump();
  checkpoint["batch"] = batch;
  checkpoint.set_origin("a.last.pt");
  Kept result{.options = given, .train = {}, .told = ""};
  testing::internal::CaptureStderr();
  try {
    keep_options(checkpoint, result.options, result.train);
  } catch (...) {
    testing::internal::GetCapturedStderr();
    throw;
  }
  result.told = testing::internal::GetCapturedStderr();
  return result;
}

TEST(KeepOptions, TheRatesOfTheCheckpointStay) {
  const Kept k = kept({{"learning-rate", "0.02"}, {"momentum", "0.8"}, {"weight-decay", "1e-4"}, {"epochs", "2"}},
                      {{"learning-rate", "0.3"}, {"momentum", "0.80"}, {"weight-decay", "0.0001"}, {"epochs", "4"}});
  EXPECT_EQ(k.told, "note: --learning-rate 0.02 of the checkpoint is kept\n");
  EXPECT_EQ(k.train.learning_rate, 0.02);
  EXPECT_EQ(k.options["learning-rate"], "0.02");
  EXPECT_EQ(k.options["epochs"], "4");
}

TEST(KeepOptions, WhatTheStateCannotGoOnWithIsRefused) {
  EXPECT_ERROR(kept({{"optimizer", "SGD"}}, {{"optimizer", "AdamW"}}),
               "a.last.pt: trained with --optimizer SGD, not AdamW; give --optimizer SGD");
  for (const char* name : {"batch-size", "grad-accum-steps", "seed"}) {
    const std::string option = std::string("--") + name;
    EXPECT_EQ(kept({{name, "2"}}, {{name, "4"}}).told, "");  // between two epochs
    EXPECT_ERROR(kept({{name, "2"}}, {{name, "4"}}, 43), "a.last.pt: saved in the middle of an epoch with " + option +
                                                             " 2, not 4; give " + option +
                                                             " 2 until that epoch is over");
  }
  EXPECT_EQ(kept({{"seed", "2"}}, {{"seed", "2"}, {"balance", "none"}}, 43).told, "");
}

class BringBest : public RunTest {
 protected:
  void save(const char* name, int64_t epoch) const {
    io::Value value;
    value["epoch"] = epoch;
    io::save_checkpoint_file(path(name), value);
  }
  int64_t epoch_of(const char* name) const { return io::load_checkpoint_file(path(name)).at("epoch").integer(); }
  std::string path(const char* name) const { return (folder / name).string(); }
};

TEST_F(BringBest, GoesAlongToAnotherName) {
  save("a.pt", 1);
  save("a.last.pt", 2);
  save("new.pt", 7);
  EXPECT_TRUE(bring_best({.resume_checkpoint = path("a.last.pt"), .save_checkpoint = path("new.pt")}));
  EXPECT_EQ(epoch_of("new.pt"), 1);
  EXPECT_EQ(epoch_of("new.previous.pt"), 7);
  EXPECT_TRUE(bring_best({.resume_checkpoint = path("a.pt"), .save_checkpoint = path("b.safetensors")}));
  EXPECT_EQ(epoch_of("b.safetensors"), 1);
}

TEST_F(BringBest, StaysWhereTheRunGoesOnUnderItsName) {
  save("a.pt", 1);
  save("a.last.pt", 2);
  for (const std::string& resumed : {std::string("auto"), path("a.last.pt"), path("a.pt")})
    EXPECT_TRUE(bring_best({.resume_checkpoint = resumed, .save_checkpoint = path("a.pt")})) << resumed;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 2);
}

TEST_F(BringBest, SaysThatThereIsNone) {
  save("a.last.pt", 2);
  EXPECT_FALSE(bring_best({.resume_checkpoint = path("a.last.pt"), .save_checkpoint = path("new.pt")}));
  EXPECT_FALSE(bring_best({.resume_checkpoint = "auto", .save_checkpoint = path("a.pt")}));
}

}  // namespace
}  // namespace ar::apps
