// ar-build-image-ds as a user runs it, against a site of our own. AR_LONG_TESTS=1 makes the test with kill -9 long.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <chrono>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "apps/images/actions.h"
#include "scrape/manifest.h"
#include "tests/scrape/site.h"
#include "tests/scrape/support.h"

namespace ar::scrape {
namespace {

using namespace std::chrono_literals;
using test::Folder;
using test::Site;
namespace fs = std::filesystem;

struct Ended {
  int code = 0;  // 128 + signal when killed
  std::string out, err;
};

/// A program beside this one, by default the one under test.
class Program {
 public:
  Program(const std::vector<std::string>& arguments, const std::string& folder, rlim_t max_file = RLIM_INFINITY,
          const char* name = "ar-build-image-ds")
      : folder_(folder) {
    const fs::path path = fs::read_symlink("/proc/self/exe").parent_path() / name;
    std::vector<std::string> all = {path};
    all.insert(all.end(), arguments.begin(), arguments.end());
    if (path.filename() == "ar-build-image-ds" && !has_user_namespaces()) all.push_back("--no-sandbox");
    std::vector<char*> argv;
    for (std::string& argument : all) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    const rlimit limit{max_file, max_file};
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
    if (freopen((folder + "/out.txt").c_str(), "w", stdout) == nullptr) _exit(126);
    if (freopen((folder + "/err.txt").c_str(), "w", stderr) == nullptr) _exit(126);
    execv(argv[0], argv.data());
    _exit(127);
  }
  void signal_it(int number) const { kill(pid_, number); }
  bool running() const {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
  }
  Ended wait() const {
    int status = 0;
    waitpid(pid_, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), test::read_all(folder_ + "/out.txt"),
            test::read_all(folder_ + "/err.txt")};
  }

 private:
  std::string folder_;
  pid_t pid_ = 0;
};

class BuildImageDs : public ::testing::Test {
 protected:
  std::vector<std::string> arguments(const std::string& profile, const std::string& out, int images) {
    const std::string actions = folder_.path + "/actions";
    if (!fs::exists(actions)) std::ofstream(actions) << "alpha\nbeta\n\n# comment\ngamma\r\n";
    return {"--actions",
            actions,
            "--out-path",
            out,
            "--images-per-action",
            std::to_string(images),
            "--engine",
            profile,
            "--num-workers",
            "4",
            "--rate",
            "0",
            "--retries",
            "1",
            "--timeout",
            "3",
            "--max-bytes",
            "1000000",
            "--allow-private"};
  }
  Ended run(const std::vector<std::string>& arguments) { return Program(arguments, folder_.path).wait(); }
  std::string out(const std::string& name = "set") const { return folder_.path + "/" + name; }

  Folder folder_;
};

std::set<std::string> pictures_in(const std::string& folder) {
  std::set<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string path = fs::relative(entry.path(), folder);
    if (entry.is_regular_file() && path.find('/') != std::string::npos && !path.starts_with(".")) files.insert(path);
  }
  return files;
}

std::map<std::pair<std::string, int64_t>, Record> last_records(const std::string& folder) {
  std::map<std::pair<std::string, int64_t>, Record> records;
  read_manifest(folder, [&](Record&& record, int64_t) {
    const std::pair key(record.name, record.rank);
    if (record.rank >= 0) records[key] = std::move(record);
  });
  return records;
}

TEST_F(BuildImageDs, ThreeClassesOfTwoHundredAllAccountedFor) {
  AR_SKIP_WITHOUT_BROWSER();
  const Site site;
  const auto command = arguments(site.write_profile(folder_.path), out(), 200);
  const Ended first = run(command);
  ASSERT_EQ(first.code, 0) << first.err << first.out;
  const std::map<std::string, std::string> causes = {
      {"html", "not-an-image"},    {"truncated", "truncated"}, {"loop", "redirects"},
      {"huge", "too-many-pixels"}, {"robots", "robots"},       {"noai", "noai"},
      {"tiny", "too-small"},       {"drip", "slow"},           {"endless", "too-large"}};
  std::map<std::string, int> kept, seen;
  for (const auto& [key, record] : last_records(out())) {
    const auto& [name, rank] = key;
    const std::string kind = test::kind_of(static_cast<int>(rank), true);
    ++seen[record.status];
    if (record.status == "found" || record.status == "downloaded") continue;  // behind the 200th
    if (causes.contains(kind)) {
      EXPECT_EQ(record.status, "failed") << name << rank;
      EXPECT_EQ(record.cause, causes.at(kind)) << name << rank << record.error;
    } else if (kind == "copy" || kind == "near") {
      EXPECT_EQ(record.status, "duplicate") << name << rank;
      EXPECT_EQ(record.of, name + "#" + std::to_string(rank - 1));
    } else if (kind.starts_with("shared")) {
      EXPECT_EQ(record.status, "cross-class") << name << rank;
    } else {
      EXPECT_EQ(record.status, "kept") << name << rank << record.cause << record.error;
      EXPECT_EQ(record.source, kind == "404" || kind == "500" ? "thumb" : "full");
      EXPECT_EQ(record.width, 120);
      EXPECT_GT(record.bytes, 500);
      ++kept[name];
    }
    EXPECT_EQ(record.query, name);
    EXPECT_TRUE(record.url.ends_with("/img/" + name + "/" + std::to_string(rank)));
  }
  for (const char* name : {"alpha", "beta", "gamma"}) EXPECT_EQ(kept[name], 200) << name;
  EXPECT_EQ(pictures_in(out()).size(), 600u);
  for (const auto& entry : fs::directory_iterator(out())) {  // a folder would be a class for torchvision's ImageFolder
    const std::string name = entry.path().filename();
    EXPECT_TRUE(entry.is_directory() ? kept.contains(name) : !name.starts_with(".staged")) << name;
  }
  EXPECT_NE(first.out.find("all 3 classes: 600 kept of"), std::string::npos) << first.out;

  const Ended checked = run({"--check", "--out-path", out()});
  EXPECT_EQ(checked.code, 0) << checked.out;
  EXPECT_NE(checked.out.find("3 classes, 600 images, 0 problems"), std::string::npos) << checked.out;

  const int requests = site.image_requests();
  EXPECT_EQ(run(command).code, 0);
  EXPECT_EQ(site.image_requests(), requests) << "nothing is done twice";

  const std::string victim = out() + "/" + *pictures_in(out()).begin();
  std::ofstream(victim, std::ios::app) << "x";
  std::ofstream(out() + "/alpha/stray.jpg") << "x";
  const Ended damaged = run({"--check", "--out-path", out()});
  EXPECT_EQ(damaged.code, 1);
  EXPECT_NE(damaged.out.find("not what was downloaded"), std::string::npos);
  EXPECT_NE(damaged.out.find("stray.jpg: the manifest does not know it"), std::string::npos);
}

TEST_F(BuildImageDs, KilledAndRestartedEndsWithTheSameSet) {
  AR_SKIP_WITHOUT_BROWSER();
  const bool is_long = std::getenv("AR_LONG_TESTS") != nullptr;
  const int kills = is_long ? 20 : 5, images = is_long ? 200 : 50;
  {
    const Site site;
    const Ended whole = run(arguments(site.write_profile(folder_.path), out("whole"), images));
    ASSERT_EQ(whole.code, 0) << whole.err;
  }
  const Site site;
  const auto command = arguments(site.write_profile(folder_.path), out("killed"), images);
  std::mt19937 random(std::random_device{}());
  int killed = 0;
  for (int i = 0; i < kills; ++i) {
    const Program program(command, folder_.path);
    std::this_thread::sleep_for(std::chrono::milliseconds(100 + random() % (is_long ? 4000 : 2500)));
    killed += program.running() ? 1 : 0;
    program.signal_it(SIGKILL);
    program.wait();
    const auto left = [&] {
      int count = test::processes_with(out("killed") + "/.browser");
      if (!fs::exists(out("killed"))) return count;
      for (const auto& entry : fs::directory_iterator(out("killed")))
        count += entry.path().filename().string().starts_with(".browser") ? 1 : 0;
      return count;
    };
    for (int wait = 0; wait < 200 && left() > 0; ++wait) std::this_thread::sleep_for(20ms);
    EXPECT_EQ(left(), 0) << "browsers, or their folders, left behind";
  }
  const Ended last = run(command);
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(pictures_in(out("killed")), pictures_in(out("whole"))) << "after " << killed << " kills";
  EXPECT_EQ(run({"--check", "--out-path", out("killed")}).code, 0);
  RecordProperty("killed", killed);
}

TEST_F(BuildImageDs, CtrlCEndsSoonAndGoesOnLater) {
  AR_SKIP_WITHOUT_BROWSER();
  const Site site;
  const auto command = arguments(site.write_profile(folder_.path), out(), 30);
  const Program program(command, folder_.path);
  while (program.running() && site.image_requests() < 5) std::this_thread::sleep_for(10ms);
  program.signal_it(SIGINT);
  const auto start = std::chrono::steady_clock::now();
  const Ended ended = program.wait();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
  EXPECT_EQ(ended.code, 130) << ended.err;
  EXPECT_NE(ended.out.find("The same command goes on"), std::string::npos);
  EXPECT_EQ(test::processes_with(out() + "/.browser"), 0);
  EXPECT_EQ(run(command).code, 0);
  EXPECT_EQ(pictures_in(out()).size(), 90u);
}

TEST_F(BuildImageDs, AnotherPageThanTheProfileSaysHasAnExitCodeOfItsOwn) {
  AR_SKIP_WITHOUT_BROWSER();
  const Site site;
  const std::string profile = folder_.path + "/mine.json";
  std::ofstream(profile) << R"({"name": "mine", "kind": "page", "results": ".tile", "load_s": 1, "search_url": ")" +
                                site.url("/fixture/changed.html?q={query}") + R"(", "full": [{"attribute": "href"}]})";
  const Ended ended = run(arguments(profile, out(), 5));
  EXPECT_EQ(ended.code, 3);
  EXPECT_NE(ended.err.find("error: engine profile mine no longer matches the page"), std::string::npos) << ended.err;
  EXPECT_TRUE(fs::exists(out() + "/engine-mine.html"));
  EXPECT_TRUE(fs::exists(out() + "/engine-mine.txt"));
  EXPECT_TRUE(fs::exists(out() + "/engine-mine.png"));
}

TEST_F(BuildImageDs, CheckEngineShowsWhatTheProfileFinds) {
  const Site site({.total = 30});
  const auto check = [&](const std::string& engine) {
    return run({"--check-engine", "alpha", "--engine", engine, "--out-path", folder_.path});
  };
  const std::string profile = site.write_api_profile(folder_.path);
  const Ended api = check(profile);
  EXPECT_EQ(api.code, 0) << api.err;
  EXPECT_THAT(api.out, ::testing::HasSubstr("image           20 of 20    url  ->  http://127.0.0.1"));
  EXPECT_THAT(api.out, ::testing::HasSubstr("of the first 20 results 20 have the image in full size, 0 a thumbnail"));
  std::string text = test::read_all(profile);
  text.replace(text.find("\"url\""), 5, "\"uri\"");
  std::ofstream(folder_.path + "/old.json") << text;
  const Ended changed = check(folder_.path + "/old.json");
  EXPECT_EQ(changed.code, 3);
  EXPECT_THAT(changed.out, ::testing::HasSubstr("image           0 of 20     uri\n"));
  EXPECT_THAT(changed.err, ::testing::HasSubstr("no longer matches the page: no result has an image at \"uri\""));
  AR_SKIP_WITHOUT_BROWSER();
  const Ended page = check(site.write_profile(folder_.path));
  EXPECT_EQ(page.code, 0) << page.err;
  EXPECT_THAT(page.out, ::testing::HasSubstr("full[0]         20 of 20"));
}

TEST_F(BuildImageDs, AnApiNeedsNoBrowser) {
  const Site site({.total = 60});
  const auto command = arguments(site.write_api_profile(folder_.path), out(), 20);
  const Ended ended = run(command);
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(pictures_in(out()).size(), 60u);
  for (const auto& [key, record] : last_records(out())) {
    EXPECT_EQ(record.license, "by 4.0");
    EXPECT_EQ(record.author, "Ann");
    EXPECT_EQ(record.page, "http://example.org/page");
  }
}

TEST_F(BuildImageDs, TheSetGoesStraightIntoTraining) {
  const Site site({.total = 60});
  ASSERT_EQ(run(arguments(site.write_api_profile(folder_.path), out(), 20)).code, 0);
  const std::vector<std::string> training = {"--data-dir",
                                             out(),
                                             "--feature-extractor",
                                             "tiny_darknet",
                                             "--pretrained",
                                             "none",
                                             "--image-size",
                                             "32",
                                             "--epochs",
                                             "1",
                                             "--batch-size",
                                             "12",
                                             "--save-checkpoint",
                                             folder_.path + "/model.pt"};
  const Ended trained = Program(training, folder_.path, RLIM_INFINITY, "ar-train-image").wait();
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_TRUE(fs::exists(folder_.path + "/model.pt"));
  const std::vector<std::string> cleaning = {
      "--data-dir", out(), "--checkpoint", folder_.path + "/model.pt", "--csv", folder_.path + "/doubts.csv",
      "--report",   ""};
  const Ended cleaned = Program(cleaning, folder_.path, RLIM_INFINITY, "ar-clean-image-ds").wait();
  EXPECT_EQ(cleaned.code, 0) << cleaned.err;
  EXPECT_THAT(cleaned.out, ::testing::HasSubstr("60 images judged"));
}

TEST_F(BuildImageDs, MoreImagesThanThereAreIsNoError) {
  const Site site({.total = 20, .trouble = false});
  const Ended ended = run(arguments(site.write_api_profile(folder_.path), out(), 9999));
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(pictures_in(out()).size(), 60u);
}

TEST_F(BuildImageDs, RetryFailedTriesAgain) {
  const Site site({.total = 20, .trouble = false});
  auto command = arguments(site.write_api_profile(folder_.path), out(), 50);
  command.insert(command.end(), {"--quality", "full", "--min-size", "500"});
  EXPECT_EQ(run(command).code, 1) << "not one is large enough";
  command.back() = "64";
  EXPECT_EQ(run(command).code, 1) << "failures are remembered";
  command.push_back("--retry-failed");
  EXPECT_EQ(run(command).code, 0);
  EXPECT_GT(pictures_in(out()).size(), 30u);
}

TEST_F(BuildImageDs, PrivateAddressesAreRefusedByDefault) {
  const Site site({.total = 20, .trouble = false});
  auto command = arguments(site.write_api_profile(folder_.path), out(), 5);
  command.pop_back();
  const Ended ended = run(command);
  EXPECT_EQ(ended.code, 1);
  EXPECT_NE(ended.out.find("private-address"), std::string::npos);
  EXPECT_EQ(site.image_requests(), 0);
}

TEST_F(BuildImageDs, AFullDiskIsOneLine) {
  const Site site({.total = 40, .trouble = false});
  const auto command = arguments(site.write_api_profile(folder_.path), out(), 30);
  const Ended full = Program(command, folder_.path, 8000).wait();  // no file may become larger than 8000 bytes
  EXPECT_EQ(full.code, 1);
  EXPECT_NE(full.err.find("cannot write"), std::string::npos) << full.err;
  EXPECT_EQ(run(command).code, 0) << "and goes on once there is room";
  EXPECT_EQ(run({"--check", "--out-path", out()}).code, 0);
}

TEST_F(BuildImageDs, BadInputIsOneLineThatSaysWhatToDo) {
  const Site site({.total = 1});
  const std::string profile = site.write_api_profile(folder_.path);
  const auto fails = [&](std::vector<std::string> command, int code, const std::string& what) {
    const Ended ended = run(command);
    EXPECT_EQ(ended.code, code) << ended.err;
    EXPECT_THAT(ended.err, ::testing::HasSubstr(what));
    EXPECT_THAT(ended.err, ::testing::StartsWith("error: "));
    EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
    EXPECT_FALSE(fs::exists(out())) << "nothing is made";
  };
  const std::vector<std::string> good = arguments(profile, out(), 5);
  const auto with = [&](const std::string& option, const std::string& value) {
    auto command = good;
    command.insert(command.end(), {option, value});
    return command;
  };
  fails({}, 2, "--out-path is required");
  fails({"--out-path", out()}, 2, "--actions is required");
  fails(with("--num-workers", "0"), 2, "--num-workers");
  fails(with("--quality", "splendid"), 2, "--quality");
  fails(with("--license", "mine"), 1, "there is no license mine");
  auto command = good;
  command[1] = folder_.path + "/absent";
  fails(command, 1, "absent: cannot read the list of classes, No such file");
  command[1] = folder_.path + "/bad";
  const std::map<std::string, std::string> files = {{"good\n../evil\n", "bad:2: class \"../evil\": a path separator"},
                                                    {"..\n", "must not begin with a dot"},
                                                    {"a\nb\na\n", "bad:3: class \"a\" is already in line 1"},
                                                    {"# nothing\n\n", "there is no class in it"}};
  for (const auto& [text, what] : files) {
    std::ofstream(folder_.path + "/bad") << text;
    fails(command, 1, what);
  }
  command = good;
  command[7] = "altavista";
  fails(command, 1, "there is no such engine");
  command[7] = "google";
  command.insert(command.end(), {"--driver", "/no/such/driver"});
  fails(command, 1, "there is no such program; on Debian: apt install chromium");
  command = good;
  command[3] = folder_.path;  // holds the profile
  fails(command, 1, "the folder holds something else");
  fails({"--check", "--out-path", out()}, 1, "no manifest.jsonl");
}

TEST_F(BuildImageDs, DryRunOnlyTells) {
  const Site site({.total = 1});
  auto command = arguments(site.write_api_profile(folder_.path), out(), 5);
  command.insert(command.end(), {"--dry-run", "--query-suffix", "a person"});
  const Ended ended = run(command);
  EXPECT_EQ(ended.code, 0);
  EXPECT_NE(ended.out.find("q=gamma%20a%20person"), std::string::npos) << ended.out;
  EXPECT_FALSE(fs::exists(out()));
  EXPECT_EQ(site.image_requests(), 0);
}

TEST_F(BuildImageDs, TheDoctorLooksAtEverything) {
  AR_SKIP_WITHOUT_BROWSER();
  const Site site({.total = 1});
  const Ended ended = run({"--doctor", "--engine", site.write_profile(folder_.path), "--out-path", out()});
  EXPECT_EQ(ended.code, 0) << ended.out;
  for (const char* part :
       {"browser /", "driver /", "a browser session starts: chrome", "answers (status", "can be written"}) {
    EXPECT_NE(ended.out.find(part), std::string::npos) << ended.out;
  }
}

TEST(Actions, NamesAndQueries) {
  const Folder folder;
  const std::string path = folder.path + "/list";
  std::ofstream(path) << "\xEF\xBB\xBF air drumming \r\n\n# no\nyoga\tyoga pose; yoga class ;;\nx\t ; \n"
                      << "run\thttp://a.b/run.mp4; https://a.b/watch?v=1; http of the web\n";
  const auto classes = apps::read_actions(path, "photo");
  ASSERT_EQ(classes.size(), 4u);
  EXPECT_EQ(classes[0].name, "air drumming");
  EXPECT_THAT(classes[0].queries, ::testing::ElementsAre("air drumming photo"));
  EXPECT_THAT(classes[1].queries, ::testing::ElementsAre("yoga pose photo", "yoga class photo"));
  EXPECT_THAT(classes[2].queries, ::testing::ElementsAre("x photo"));
  EXPECT_THAT(classes[3].queries,
              ::testing::ElementsAre("http://a.b/run.mp4", "https://a.b/watch?v=1", "http of the web photo"));
}

TEST(Actions, Kinetics400) {
  const auto classes = apps::read_actions(AR_SOURCE_DIR "/data/kinetics400.names");
  ASSERT_EQ(classes.size(), 400u);
  EXPECT_EQ(classes.front().name, "abseiling");
  EXPECT_EQ(classes.back().name, "zumba");
}

}  // namespace
}  // namespace ar::scrape
