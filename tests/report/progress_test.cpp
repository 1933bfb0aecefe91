// The progress display on a pseudo-terminal, on a pipe, and quiet.
#include "apps/report/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <thread>

#include "apps/report/text.h"

namespace ar::apps {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// Two ends of a channel: what the display writes can be read here.
struct Channel {
  int ours = -1, theirs = -1;
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() {
    close(ours);
    close(theirs);
  }
  std::string read_all() const {
    fcntl(ours, F_SETFL, O_NONBLOCK);
    std::string out;
    char bytes[4096];
    for (ssize_t n = 0; (n = read(ours, bytes, sizeof(bytes))) > 0;) out.append(bytes, size_t(n));
    return out;
  }
};

struct Pipe : Channel {
  Pipe() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    ours = ends[0];
    theirs = ends[1];
  }
};

struct Terminal : Channel {
  explicit Terminal(int columns) {
    EXPECT_EQ(openpty(&ours, &theirs, nullptr, nullptr, nullptr), 0);
    termios mode{};
    tcgetattr(theirs, &mode);
    cfmakeraw(&mode);
    tcsetattr(theirs, TCSANOW, &mode);
    resize(columns);
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
  }
  void resize(int columns) const {
    winsize size{};
    size.ws_row = 24;
    size.ws_col = static_cast<unsigned short>(columns);
    ioctl(theirs, TIOCSWINSZ, &size);
  }
};

/// What a terminal would show after these bytes, for the few sequences the display uses.
struct Screen {
  std::vector<std::string> rows{""};
  explicit Screen(std::string_view bytes) {
    std::string line;
    bool restart = false;
    const auto put = [&](std::string_view text) {
      if (restart) line.clear();
      restart = false;
      line += text;
    };
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (bytes[i] == '\r') {
        restart = true;  // the display always erases behind what it draws
      } else if (bytes[i] == '\n') {
        rows.back() = line;
        rows.emplace_back();
        line.clear();
        restart = false;
      } else if (bytes.substr(i, 3) == "\x1b[K") {
        i += 2;
      } else if (bytes.substr(i, 3) == "\x1b[J") {
        line.clear();
        i += 2;
      } else {
        put(bytes.substr(i, 1));
      }
    }
    rows.back() = line;
  }
};

struct Clock {
  double now = 100;
  std::function<double()> read() {
    return [this] { return now; };
  }
};

TEST(Progress, FitsTheTerminal) {
  for (const int columns : {8, 20, 30, 40, 60, 80, 120, 200}) {
    const Terminal terminal(columns);
    Clock clock;
    Progress progress(
        {.label = "époque 歩行 3/8", .total = 720, .unit = "images", .fd = terminal.theirs, .clock = clock.read()});
    progress.set("loss", 1.20449);
    progress.set("top-1", "58.3 %");
    progress.set("wait", "2 %");
    clock.now += 10;
    progress.update(480);
    const std::string line = Screen(terminal.read_all()).rows.back();
    EXPECT_LT(display_width(line), columns) << line;
    EXPECT_THAT(line, HasSubstr("66%"));
    if (columns >= 120) {
      EXPECT_THAT(line, HasSubstr("480/720 images  48.0 images/s  ETA 0:05  loss 1.2045  top-1 58.3 %  wait 2 %"));
    }
    if (columns >= 60) {
      EXPECT_THAT(line, HasSubstr("ETA 0:05"));
    }
  }
}

TEST(Progress, TakesItsLineAway) {
  const Terminal terminal(80);
  {
    Progress progress({.label = "a", .total = 3, .fd = terminal.theirs});
    progress.advance();
    EXPECT_THAT(Screen(terminal.read_all()).rows, ElementsAre(HasSubstr("0/3")));
  }
  EXPECT_THAT(Screen(std::string("x").append(terminal.read_all())).rows, ElementsAre(""));
}

TEST(Progress, FinishLeavesALine) {
  const Terminal terminal(80);
  Progress progress({.label = "a", .total = 3, .fd = terminal.theirs});
  progress.finish("done: 3");
  progress.advance();
  progress.finish();
  EXPECT_THAT(Screen(terminal.read_all()).rows, ElementsAre("done: 3", ""));
}

TEST(Progress, RedrawsAtMostTenTimesASecond) {
  const Terminal terminal(80);
  Clock clock;
  Progress progress({.total = 1000, .fd = terminal.theirs, .clock = clock.read()});
  for (int i = 0; i < 1000; ++i) {
    clock.now += 0.001;
    progress.advance();
  }
  const std::string bytes = terminal.read_all();
  EXPECT_LE(std::count(bytes.begin(), bytes.end(), '\r'), 11);
}

TEST(Progress, LoggedLinesDoNotTearIt) {
  const Terminal terminal(80);
  Progress progress({.label = "work", .total = 10, .fd = terminal.theirs});
  log_line("bad file: x\x1b[2Jy");
  log_line("second");
  EXPECT_THAT(Screen(terminal.read_all()).rows, ElementsAre("bad file: x [2Jy", "second", HasSubstr("work ▕")));
}

TEST(Progress, ANewerOneHidesAnOlder) {
  const Terminal terminal(80);
  Progress outer({.label = "outer", .total = 10, .fd = terminal.theirs});
  {
    Progress inner({.label = "inner", .total = 10, .fd = terminal.theirs});
    outer.advance();
    EXPECT_THAT(Screen(terminal.read_all()).rows, ElementsAre(HasSubstr("inner")));
  }
  EXPECT_THAT(Screen(terminal.read_all()).rows, ElementsAre(HasSubstr("outer")));
}

TEST(Progress, AfterANarrowingTheWrappedRowsGo) {
  const Terminal terminal(100);
  Clock clock;
  Progress progress(
      {.label = "a long enough label of some work", .total = 10, .fd = terminal.theirs, .clock = clock.read()});
  progress.set("field", "so that it is wide");
  clock.now += 1;
  progress.advance();
  (void)terminal.read_all();
  terminal.resize(40);
  clock.now += 1;
  progress.advance();
  EXPECT_THAT(terminal.read_all(), HasSubstr("\x1b[2A\r\x1b[J"));
}

TEST(Progress, EtaLeavesOutWhatAResumedRunHadDone) {
  const Terminal terminal(120);
  Clock clock;
  Progress progress({.total = 1000, .resumed = 900, .fd = terminal.theirs, .clock = clock.read()});
  for (int i = 0; i < 50; ++i) {
    clock.now += 1;
    progress.advance();
  }
  EXPECT_DOUBLE_EQ(progress.rate(), 1);
  EXPECT_THAT(Screen(terminal.read_all()).rows.back(), HasSubstr("95% 950/1000 items  1.00 items/s  ETA 0:50"));
}

TEST(Progress, RateForgetsASlowStart) {
  Clock clock;
  Progress progress({.total = 1000, .quiet = true, .clock = clock.read()});
  clock.now += 20;
  progress.advance();
  for (int i = 0; i < 300; ++i) {
    clock.now += 0.5;
    progress.advance();
  }
  EXPECT_NEAR(progress.rate(), 2, 0.1);
}

TEST(Progress, PlainLinesOnAPipe) {
  const Pipe pipe;
  Clock clock;
  Progress progress({.label = "train", .total = 100, .unit = "images", .fd = pipe.theirs, .clock = clock.read()});
  progress.set("loss", 0.5);
  for (int i = 0; i < 100; ++i) {
    clock.now += 0.7;
    progress.advance();
    if (i == 50) log_line("note");
  }
  progress.finish();
  const std::string text = pipe.read_all();
  EXPECT_THAT(text, Not(HasSubstr("\r")));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, HasSubstr("train: 15/100 images (15 %)  1.43 images/s  ETA 1:00  loss 0.5000\n"));
  EXPECT_THAT(text, HasSubstr("note\n"));
  EXPECT_THAT(text, testing::EndsWith("train: 100/100 images (100 %)  1.43 images/s  loss 0.5000\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 8);  // 15, 30, 45, 60, 75, 90 %; the note; the end
}

TEST(Progress, UnknownTotal) {
  const Terminal terminal(80);
  Clock clock;
  Progress progress({.label = "scan", .unit = "files", .fd = terminal.theirs, .clock = clock.read()});
  clock.now += 2;
  progress.update(50);
  EXPECT_EQ(Screen(terminal.read_all()).rows.back(), "scan 50 files  0:02  25.0 files/s");
}

TEST(Progress, QuietDrawsNothingButLogs) {
  const Terminal terminal(80);
  Progress progress({.total = 2, .quiet = true, .fd = terminal.theirs});
  progress.advance();
  log_line("note");
  progress.finish("end");
  EXPECT_EQ(terminal.read_all(), "note\n");
}

TEST(Progress, FromManyThreads) {
  Progress progress({.total = 4000, .quiet = true});
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&progress, t] {
      for (int i = 0; i < 1000; ++i) {
        progress.advance();
        progress.set("thread", double(t));
      }
    });
  }
  threads.clear();
  EXPECT_GT(progress.rate(), 0);
}

TEST(Text, Widths) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("é歩😀e\u0301"), 6);
  EXPECT_EQ(fit("歩行歩行", 5), "歩行…");
  EXPECT_EQ(fit("歩行歩行", 4), "歩…");
  EXPECT_EQ(fit("abc", 3), "abc");
  EXPECT_EQ(fit("abcd", 3, false), "ab~");
  EXPECT_EQ(fit("abcd", 0), "");
  EXPECT_EQ(printable("a\tb\xff\xe6\xad\xa9\xe6\xad"), "a b\ufffd歩\ufffd\ufffd");
  EXPECT_EQ(printable("\xc0\xaf\xed\xa0\x80"), "\ufffd\ufffd\ufffd\ufffd\ufffd");
}

TEST(Text, Numbers) {
  EXPECT_EQ(format_duration(7), "0:07");
  EXPECT_EQ(format_duration(750), "12:30");
  EXPECT_EQ(format_duration(3 * 3600 + 121), "3:02:01");
  EXPECT_EQ(format_duration(2 * 86400 + 3 * 3600 + 12 * 60), "2 d 03:12");
  EXPECT_EQ(format_duration(-1), "-:--");
  EXPECT_EQ(format_duration(NAN), "-:--");
  EXPECT_EQ(format_number(0), "0.0000");
  EXPECT_EQ(format_number(0.01234), "0.0123");
  EXPECT_EQ(format_number(12.345), "12.35");
  EXPECT_EQ(format_number(-123.45), "-123.5");
  EXPECT_EQ(format_number(123456), "123456");
  EXPECT_EQ(format_number(3e-5), "3e-05");
  EXPECT_EQ(format_number(NAN), "nan");
}

}  // namespace
}  // namespace ar::apps
