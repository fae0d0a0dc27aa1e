#include "net/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "tests/net/net_fixture.h"
#include "tests/temporary_folder.h"

namespace lotse::net {
namespace {

struct Ended {
  int exit_code = 0, signal = 0;
  bool operator==(const Ended&) const = default;
};

class ProcessTest : public NetTest {
 protected:
  std::unique_ptr<Process> spawn(const ProcessOptions& options) {
    ended.reset();
    auto process = Process::spawn(loop, options, [this](int exit_code, int signal) { ended = {exit_code, signal}; });
    EXPECT_TRUE(process);
    return process ? std::move(*process) : nullptr;
  }
  static ProcessOptions shell(const std::string& script) {
    ProcessOptions options;
    options.file = "/bin/sh";
    options.arguments = {"-c", script};
    return options;
  }
  // What the script writes to its standard output, which ends when it does.
  std::string output_of(ProcessOptions options) {
    std::array<int, 2> fds{};
    EXPECT_EQ(pipe2(fds.data(), O_CLOEXEC), 0);
    UniqueFd reader(fds[0]), writer(fds[1]);
    options.stdout_fd = writer.get();
    auto process = spawn(options);
    writer.close();
    std::string output;
    std::array<char, 512> buffer{};
    for (ssize_t count; (count = read(reader.get(), buffer.data(), buffer.size())) > 0;) {
      output.append(buffer.data(), static_cast<std::size_t>(count));
    }
    run_until([&] { return ended.has_value(); });
    return output;
  }

  std::optional<Ended> ended;
};

TEST_F(ProcessTest, TellsTheExitCode) {
  auto process = spawn(shell("exit 7"));
  EXPECT_GT(process->pid(), 0);
  EXPECT_FALSE(ended);
  run_until([&] { return ended.has_value(); });
  EXPECT_EQ(*ended, (Ended{7, 0}));
}

TEST_F(ProcessTest, TellsTheSignal) {
  auto process = spawn(shell("exec sleep 1000"));
  process->kill(SIGKILL, false);
  run_until([&] { return ended.has_value(); });
  EXPECT_EQ(*ended, (Ended{0, SIGKILL}));
  process->kill(SIGKILL, false);  // reaped: goes nowhere
}

TEST_F(ProcessTest, GivesTheChildExactlyItsEnvironmentAndFolder) {
  TemporaryFolder folder;
  auto options = shell("/usr/bin/env; pwd");
  options.environment = {"GREETING=hello"};
  options.directory = folder.path();
  std::string output = output_of(options);
  EXPECT_NE(output.find("GREETING=hello\n"), output.npos) << output;
  EXPECT_NE(output.find(folder.path() + "\n"), output.npos) << output;
  EXPECT_EQ(output.find("PATH=/"), output.npos) << output;
}

TEST_F(ProcessTest, LeavesOtherStreamsAtDevNull) {
  EXPECT_EQ(output_of(shell("cat; echo gone >&2; echo here")), "here\n");
}

TEST_F(ProcessTest, FailsForAProgramThatIsNotThere) {
  bool called = false;
  auto options = shell("");
  options.file = "/nowhere/program";
  auto process = Process::spawn(loop, options, [&](int, int) { called = true; });
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().code, Errc::not_found);
  options.file = "/etc/passwd";
  process = Process::spawn(loop, options, [&](int, int) { called = true; });
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().code, Errc::permission_denied);
  for (int i = 0; i < 5; ++i) loop.run_once_ready();
  EXPECT_FALSE(called);
}

TEST_F(ProcessTest, SignalsTheWholeGroupOfANewSession) {
  // The shell waits for a child of its own; the pipe ends only when both have gone.
  std::array<int, 2> fds{};
  ASSERT_EQ(pipe2(fds.data(), O_CLOEXEC), 0);
  UniqueFd reader(fds[0]), writer(fds[1]);
  auto options = shell("sleep 1000 & echo ready; wait");
  options.new_session = true;
  options.stdout_fd = writer.get();
  auto process = spawn(options);
  writer.close();
  char byte = 0;
  ASSERT_EQ(read(reader.get(), &byte, 1), 1);
  EXPECT_EQ(getpgid(process->pid()), process->pid());
  process->kill(SIGKILL, true);
  while (read(reader.get(), &byte, 1) > 0) {}
  run_until([&] { return ended.has_value(); });
  EXPECT_EQ(ended->signal, SIGKILL);
}

TEST_F(ProcessTest, MayBeDestroyedInItsCallback) {
  std::unique_ptr<Process> process;
  auto held = std::make_shared<int>(0);
  auto spawned = Process::spawn(loop, shell("exit 0"), [&process, held](int, int) {
    process.reset();
    ++*held;
  });
  ASSERT_TRUE(spawned);
  process = std::move(*spawned);
  run_until([&] { return *held == 1; });
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(ProcessTest, DestroyedItLetsTheChildRunAndStillReapsIt) {
  std::array<int, 2> fds{};
  ASSERT_EQ(pipe2(fds.data(), O_CLOEXEC), 0);
  UniqueFd reader(fds[0]), writer(fds[1]);
  auto options = shell("read line < /dev/fd/2; echo done");
  std::array<int, 2> gate{};
  ASSERT_EQ(pipe2(gate.data(), O_CLOEXEC), 0);
  UniqueFd gate_reader(gate[0]), gate_writer(gate[1]);
  options.stdout_fd = writer.get();
  options.stderr_fd = gate_reader.get();
  auto process = spawn(options);
  writer.close();
  int pid = process->pid();
  process.reset();
  ASSERT_EQ(write(gate_writer.get(), "go\n", 3), 3);
  std::array<char, 5> said{};
  ASSERT_EQ(read(reader.get(), said.data(), said.size()), 5);
  run_until([&] { return ::kill(pid, 0) != 0; });  // a zombie would still be there
  EXPECT_FALSE(ended);
}

TEST(Process, AChildThatOutlivesTheLoopIsLeftToItself) {
  std::array<int, 2> gate{};
  ASSERT_EQ(pipe2(gate.data(), O_CLOEXEC), 0);
  UniqueFd reader(gate[0]), writer(gate[1]);
  int pid = 0;
  {
    Loop loop;
    ProcessOptions options;
    options.file = "/bin/sh";
    options.arguments = {"-c", "read line < /dev/fd/2"};
    options.stderr_fd = reader.get();
    auto process = Process::spawn(loop, options, [](int, int) { FAIL(); });
    ASSERT_TRUE(process);
    pid = (*process)->pid();
  }
  EXPECT_EQ(::kill(pid, 0), 0);
  writer.close();
  reader.close();
  EXPECT_EQ(waitpid(pid, nullptr, 0), pid);
}

TEST_F(NetTest, ASignalWatchHearsItsSignal) {
  int heard = 0;
  auto watch = SignalWatch::open(loop, SIGUSR1, [&] { ++heard; });
  ASSERT_EQ(raise(SIGUSR1), 0);
  run_until([&] { return heard == 1; });
  ASSERT_EQ(raise(SIGUSR1), 0);
  run_until([&] { return heard == 2; });
}

TEST_F(NetTest, ASignalWatchMayBeDestroyedInItsCallback) {
  auto held = std::make_shared<int>(0);
  std::unique_ptr<SignalWatch> watch;
  watch = SignalWatch::open(loop, SIGUSR1, [&watch, held] {
    watch.reset();
    ++*held;
  });
  ASSERT_EQ(raise(SIGUSR1), 0);
  run_until([&] { return *held == 1; });
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace lotse::net
