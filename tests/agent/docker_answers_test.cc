#include "agent/docker_answers.h"

#include <gtest/gtest.h>

#include "agent/log_demux.h"
#include "tests/fuzz_corpus.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace lotse::agent {
namespace {

TEST(DockerInspect, ReadsARunningContainer) {
  auto report = parse_inspect(R"({"Id":"abc","State":{"Status":"running","Running":true,"ExitCode":0,"OOMKilled":false,
      "Error":"","StartedAt":"2026-11-23T14:05:43.232589542Z"},"Config":{"Labels":{"lotse.task":"t1","n":5}},
      "NetworkSettings":{"IPAddress":"","Networks":{"bridge":{"IPAddress":"172.17.0.2"}}}})");
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->seen.kind, Observation::Kind::running);
  EXPECT_EQ(report->seen.container_id, "abc");
  EXPECT_EQ(report->seen.ip_address, "172.17.0.2");
  EXPECT_EQ(report->seen.started_ms % 60'000, 43'232);
  EXPECT_EQ(report->labels.at("lotse.task"), "t1");
}

TEST(DockerInspect, ReadsHowAContainerEnded) {
  auto report = parse_inspect(R"({"Id":"abc","State":{"Status":"exited","ExitCode":137,"OOMKilled":true,"Error":"x",
      "StartedAt":"0001-01-01T00:00:00Z"}})");
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->seen.kind, Observation::Kind::exited);
  EXPECT_EQ(report->seen.exit_code, 137);
  EXPECT_TRUE(report->seen.out_of_memory);
  EXPECT_EQ(report->seen.error, "x");
  EXPECT_EQ(report->seen.started_ms, 0);
}

TEST(DockerInspect, MapsEveryStatus) {
  using Kind = Observation::Kind;
  const std::pair<const char*, Kind> rows[] = {
      {"created", Kind::created}, {"running", Kind::running}, {"paused", Kind::running}, {"restarting", Kind::running},
      {"removing", Kind::exited}, {"exited", Kind::exited},   {"dead", Kind::exited}};
  for (const auto& [status, kind] : rows) {
    auto report = parse_inspect(std::string(R"({"State":{"Status":")") + status + "\"}}");
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->seen.kind, kind) << status;
  }
}

TEST(DockerAnswers, SurviveNonsense) {
  for (const char* text : {"", "null", "[]", "{}", "{\"State\":5}", "nonsense", "[1,\"x\",{\"Names\":[5]}]"}) {
    EXPECT_FALSE(parse_inspect(text).has_value());
    static_cast<void>(parse_container_list(text));
    EXPECT_FALSE(parse_docker_event(text).has_value());
    EXPECT_FALSE(parse_created_id(text).has_value());
  }
}

TEST(DockerList, ReadsNamesAndLabels) {
  auto list =
      parse_container_list(R"([{"Id":"a","Names":["/lotse-t1"],"State":"exited","Labels":{"lotse.task":"t1"}}])");
  ASSERT_TRUE(list.has_value());
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ(list->front().name, "/lotse-t1");
  EXPECT_EQ(list->front().state, "exited");
  EXPECT_EQ(list->front().labels.at("lotse.task"), "t1");
}

TEST(DockerEvent, ReadsADeath) {
  auto event = parse_docker_event(
      R"({"Type":"container","Action":"die","Actor":{"ID":"a","Attributes":{"exitCode":"3","lotse.task":"t1"}}})");
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->action, "die");
  EXPECT_EQ(event->attributes.at("lotse.task"), "t1");
  EXPECT_FALSE(parse_docker_event(R"({"Type":"image","Action":"pull"})").has_value());
}

TEST(DockerWords, AreDockersOwn) {
  EXPECT_EQ(docker_words(500, R"({"message":"port is already allocated"})"), "port is already allocated");
  EXPECT_EQ(docker_words(500, "plain text\n"), "plain text");
  EXPECT_EQ(docker_words(502, ""), "Docker answered 502");
  EXPECT_EQ(docker_words(500, std::string(100'000, 'x')).size(), 2000u);
}

TEST(DockerPull, FindsTheErrorAmongTheProgress) {
  EXPECT_FALSE(parse_pull_error(R"({"status":"Pulling from x","id":"latest"})").has_value());
  EXPECT_EQ(parse_pull_error(R"({"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"})"),
            "manifest unknown");
}

TEST(LineSplitter, GivesTheSameLinesHoweverTheBytesAreCut) {
  const std::string bytes = "one\n\ntwo\n" + std::string(50, 'x') + "\nthree\nrest";
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    LineSplitter splitter(40);
    std::vector<std::string> lines;
    auto take = [&](std::string_view line) { lines.emplace_back(line); };
    splitter.feed(std::string_view(bytes).substr(0, cut), take);
    splitter.feed(std::string_view(bytes).substr(cut), take);
    EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "three"})) << cut;  // the long one is dropped
    EXPECT_EQ(splitter.rest(), "rest");
  }
}

std::string frame(char stream, const std::string& payload) {
  std::string head{
      stream, 0, 0, 0, 0, 0, static_cast<char>(payload.size() >> 8), static_cast<char>(payload.size() & 255)};
  return head + payload;
}

TEST(LogDemux, GivesTheSameTextHoweverTheBytesAreCut) {
  const std::string bytes = frame(1, "out\n") + frame(2, "") + frame(2, "error\n") + frame(1, std::string(300, 'x'));
  const std::string expected = "out\nerror\n" + std::string(300, 'x');
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    LogDemux demux;
    std::string text;
    demux.feed(std::string_view(bytes).substr(0, cut), text);
    demux.feed(std::string_view(bytes).substr(cut), text);
    EXPECT_EQ(text, expected) << cut;
  }
}

TEST(LogDemux, PassesATtysBytesAsTheyAre) {
  LogDemux demux;
  std::string text;
  demux.feed("plain ", text);
  demux.feed("words", text);
  EXPECT_EQ(text, "plain words");
}

TEST(KeepTail, BeginsAtALine) {
  std::string text = "first line\nsecond\nthird\n";
  keep_tail(text, 15);
  EXPECT_EQ(text, "second\nthird\n");
  std::string one_line(100, 'x');
  keep_tail(one_line, 10);
  EXPECT_EQ(one_line.size(), 10u);
}

TEST(DockerStreamFuzz, TheCorpusPasses) {
  replay_corpus(LOTSE_FUZZ_CORPUS "/docker_stream", LLVMFuzzerTestOneInput, 5);
}

}  // namespace
}  // namespace lotse::agent
