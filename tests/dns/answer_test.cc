// What is said to a query, seen as a client sees it: by the bytes that go and come.
#include "dns/answer.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/dns/fake_names.h"

namespace lotse::dns {
namespace {

using Lines = std::vector<std::string>;

class DnsAnswer : public testing::Test {
 protected:
  DnsAnswer() {
    names.names["web.marathon.mesos"] = {.exists = true, .addresses = {"10.0.0.1", "fd00::1"}};
    names.names["_web._tcp.marathon.mesos"] = {
        .exists = true,
        .services = {{31001, "ip-10-0-0-1.slave.mesos", "10.0.0.1"}, {31002, "ip-10-0-0-1.slave.mesos", "10.0.0.1"}}};
    names.names["marathon.mesos"] = {.exists = true};
  }

  DecodedResponse ask(Query query, std::uint16_t edns = 0, std::size_t bytes_max = kTcpBytesMax) {
    query.id = 4711;
    const std::string wire = encode_query(query, edns);
    const Decoded decoded = decode(wire);
    EXPECT_FALSE(decoded.is_dropped);
    Response response{.rcode = decoded.rcode};
    if (decoded.rcode == Rcode::no_error) response = answer(decoded.query, names, random);
    bytes = encode(decoded.query, response, bytes_max);
    EXPECT_LE(bytes.size(), bytes_max);
    auto read = decode_response(bytes);
    EXPECT_TRUE(read && read->id == 4711);
    return read.value_or(DecodedResponse{});
  }
  DecodedResponse ask(const std::string& name, Type type) { return ask(Query{.name = name, .type = type}); }

  FakeNames names;
  Random random{1};
  std::string bytes;
};

TEST_F(DnsAnswer, AddressesAreToldByFamily) {
  DecodedResponse said = ask("web.marathon.mesos", Type::a);
  EXPECT_EQ(said.rcode, 0U);
  EXPECT_TRUE(said.is_authoritative);
  EXPECT_EQ(said.answer, Lines{"web.marathon.mesos. 5 IN A 10.0.0.1"});
  EXPECT_EQ(ask("web.marathon.mesos", Type::aaaa).answer, Lines{"web.marathon.mesos. 5 IN AAAA fd00::1"});
}

TEST_F(DnsAnswer, ServicesComeWithTheAddressesOfTheirTargetsOnce) {
  const DecodedResponse said = ask("_web._tcp.marathon.mesos", Type::srv);
  EXPECT_EQ(std::set<std::string>(said.answer.begin(), said.answer.end()),
            (std::set<std::string>{"_web._tcp.marathon.mesos. 5 IN SRV 0 0 31001 ip-10-0-0-1.slave.mesos.",
                                   "_web._tcp.marathon.mesos. 5 IN SRV 0 0 31002 ip-10-0-0-1.slave.mesos."}));
  EXPECT_EQ(said.additional, Lines{"ip-10-0-0-1.slave.mesos. 5 IN A 10.0.0.1"});
}

TEST_F(DnsAnswer, WhatDoesNotExistSaysForHowLongByTheSoa) {
  const DecodedResponse said = ask("nobody.marathon.mesos", Type::a);
  EXPECT_EQ(said.rcode, 3U);
  EXPECT_TRUE(said.is_authoritative);
  EXPECT_EQ(said.authority, Lines{"mesos. 5 IN SOA ns1.mesos. root.ns1.mesos. 7 60 60 600 5"});
}

TEST_F(DnsAnswer, ANameWithoutTheTypeAskedForExistsAllTheSame) {
  for (const char* name : {"_web._tcp.marathon.mesos", "marathon.mesos", "mesos"}) {
    const DecodedResponse said = ask(name, Type::a);
    EXPECT_EQ(said.rcode, 0U) << name;
    EXPECT_TRUE(said.answer.empty()) << name;
    EXPECT_EQ(said.authority.size(), 1U) << name;
  }
}

TEST_F(DnsAnswer, TheZoneHasSoaAndNs) {
  EXPECT_EQ(ask("mesos", Type::soa).answer, Lines{"mesos. 5 IN SOA ns1.mesos. root.ns1.mesos. 7 60 60 600 5"});
  const DecodedResponse said = ask("mesos", Type::ns);
  EXPECT_EQ(said.answer, Lines{"mesos. 5 IN NS ns1.mesos."});
  EXPECT_EQ(said.additional, Lines{"ns1.mesos. 5 IN A 127.0.0.1"});
}

TEST_F(DnsAnswer, WhatIsNotOursIsRefused) {
  for (const DecodedResponse& said : {ask("example.com", Type::a), ask("xmesos", Type::a), ask("mesos", Type::axfr),
                                      ask(Query{.name = "web.marathon.mesos", .class_code = 3})}) {
    EXPECT_EQ(said.rcode, 5U);
    EXPECT_FALSE(said.is_authoritative);
    EXPECT_TRUE(said.answer.empty() && said.authority.empty());
  }
}

TEST_F(DnsAnswer, AnyIsAnsweredWithOneKind) {
  EXPECT_EQ(ask("web.marathon.mesos", Type::any).answer.size(), 1U);
  EXPECT_EQ(ask("mesos", Type::any).answer.size(), 1U);
}

TEST_F(DnsAnswer, OtherOpcodesAreNotImplemented) {
  for (std::uint8_t opcode : {std::uint8_t{2}, std::uint8_t{4}, std::uint8_t{5}}) {
    EXPECT_EQ(ask(Query{.opcode = opcode, .name = "mesos"}).rcode, 4U);
  }
}

TEST_F(DnsAnswer, AnUnknownVersionOfEdnsIsNamedWithTheOneWeSpeak) {
  const DecodedResponse said = ask(Query{.name = "mesos", .edns_version = 1}, 1232);
  EXPECT_EQ(said.rcode, 16U);
  EXPECT_TRUE(said.has_edns);
}

TEST_F(DnsAnswer, OnlyWhoSpeaksEdnsIsAnsweredWithIt) {
  EXPECT_TRUE(ask(Query{.name = "mesos"}, 4096).has_edns);
  EXPECT_FALSE(ask(Query{.name = "mesos"}).has_edns);
}

TEST_F(DnsAnswer, TheQuestionComesBackInItsOwnSpelling) {
  const DecodedResponse said = ask(Query{.wire_name = std::string("\3WeB\10MaRaThOn\5mEsOs\0", 20), .type = Type::a});
  EXPECT_EQ(said.question, Lines{"WeB.MaRaThOn.mEsOs. IN A"});
  EXPECT_EQ(said.answer, Lines{"WeB.MaRaThOn.mEsOs. 5 IN A 10.0.0.1"});
}

TEST_F(DnsAnswer, ADotInsideALabelPartsNothing) {
  EXPECT_EQ(ask(Query{.wire_name = std::string("\14web.marathon\5mesos\0", 20), .type = Type::a}).rcode, 3U);
}

TEST_F(DnsAnswer, WhatDoesNotFitIsTruncatedAndWholeByTcp) {
  NameFacts& facts = names.names["many.marathon.mesos"];
  facts.exists = true;
  for (int i = 0; i < 200; ++i) facts.addresses.push_back("10.0.1." + std::to_string(i));
  const Query query{.name = "many.marathon.mesos"};
  const DecodedResponse cut = ask(query, 0, kPlainUdpBytes);
  EXPECT_TRUE(cut.is_truncated);
  EXPECT_TRUE(cut.answer.empty());
  EXPECT_EQ(cut.question.size(), 1U);
  const DecodedResponse whole = ask(query, 0, kTcpBytesMax);
  EXPECT_FALSE(whole.is_truncated);
  EXPECT_EQ(whole.answer.size(), 200U);
  EXPECT_LT(bytes.size(), 12U + 25 + 200 * 16 + 1);  // names are compressed
}

TEST_F(DnsAnswer, AdditionalRecordsAreLeftOutBeforeAnAnswerIsTruncated) {
  const DecodedResponse said = ask(Query{.name = "_web._tcp.marathon.mesos", .type = Type::srv}, 0, 150);
  EXPECT_FALSE(said.is_truncated);
  EXPECT_EQ(said.answer.size(), 2U);
  EXPECT_TRUE(said.additional.empty());
}

TEST_F(DnsAnswer, TheOrderIsDrawnEachTimeAndOfVeryManyAPart) {
  NameFacts& facts = names.names["many.marathon.mesos"];
  facts.exists = true;
  for (int i = 0; i < 1500; ++i)
    facts.addresses.push_back("10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250));
  std::set<std::string> first;
  for (int i = 0; i < 20; ++i) {
    const DecodedResponse said = ask("many.marathon.mesos", Type::a);
    ASSERT_EQ(said.answer.size(), kAnswersMax);
    first.insert(said.answer.front());
  }
  EXPECT_GT(first.size(), 10U);
}

TEST(DnsMessage, WhatIsNoQueryIsDroppedOrNamed) {
  EXPECT_TRUE(decode("").is_dropped);
  EXPECT_TRUE(decode("12345678901").is_dropped);
  std::string answer = encode_query({.name = "mesos"});
  answer[2] = static_cast<char>(answer[2] | '\x80');
  EXPECT_TRUE(decode(answer).is_dropped);
  std::string two_questions = encode_query({.name = "mesos"});
  two_questions[5] = 2;
  EXPECT_EQ(decode(two_questions).rcode, Rcode::format_error);
  EXPECT_EQ(decode(encode_query({.name = "mesos"}).substr(0, 15)).rcode, Rcode::format_error);
  EXPECT_EQ(decode(encode_query({.name = "mesos"}) + std::string(kQueryBytesMax, 'x')).rcode, Rcode::format_error);
}

}  // namespace
}  // namespace lotse::dns
