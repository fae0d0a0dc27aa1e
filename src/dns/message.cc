#include "dns/message.h"

#include <arpa/inet.h>
#include <ldns/ldns.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <utility>

namespace lotse::dns {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kLabelBytesMax = 63, kNameBytesMax = 255;
constexpr std::size_t kAdditionalMax = 2;  // of a query: OPT and TSIG

struct Free {
  void operator()(ldns_pkt* packet) const { ldns_pkt_free(packet); }
  void operator()(ldns_rr* record) const { ldns_rr_free(record); }
  void operator()(std::uint8_t* bytes) const { std::free(bytes); }
  void operator()(char* text) const { std::free(text); }
};
using Packet = std::unique_ptr<ldns_pkt, Free>;
using OwnedRecord = std::unique_ptr<ldns_rr, Free>;

std::uint8_t byte_at(std::string_view bytes, std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); }
std::uint16_t u16_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}

bool is_plain(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '*'; }

// From uncompressed wire format, which the library has checked.
std::string readable_name(std::string_view wire) {
  std::string name;
  for (std::size_t at = 0; at < wire.size() && wire[at] != 0;) {
    const std::size_t length = byte_at(wire, at++);
    if (!name.empty()) name += '.';
    for (char c : wire.substr(at, length)) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      if (is_plain(c)) {
        name += c;
        continue;
      }
      const unsigned code = static_cast<std::uint8_t>(c);
      name += {'\\', static_cast<char>('0' + code / 100), static_cast<char>('0' + code / 10 % 10),
               static_cast<char>('0' + code % 10)};
    }
    at += length;
  }
  return name;
}

// Null: a label or the name is too long. What we write has no escapes.
ldns_rdf* name_data(std::string_view name) {
  std::string wire;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    if (label.empty() || label.size() > kLabelBytesMax) return nullptr;
    wire += static_cast<char>(label.size());
    wire += label;
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  wire += '\0';
  if (wire.size() > kNameBytesMax) return nullptr;
  return ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, wire.size(), wire.data());
}

ldns_rdf* wire_name_data(std::string_view wire) {
  return ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, wire.size(), wire.data());
}

ldns_rdf* number_data(std::uint16_t value) { return ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, value); }
ldns_rdf* number_data(std::uint32_t value) { return ldns_native2rdf_int32(LDNS_RDF_TYPE_INT32, value); }
ldns_rdf* period_data(std::uint32_t value) { return ldns_native2rdf_int32(LDNS_RDF_TYPE_PERIOD, value); }

struct DataWriter {
  ldns_rr* record;

  bool push(ldns_rdf* data) const {
    if (data == nullptr) return false;
    ldns_rr_push_rdf(record, data);
    return true;
  }
  bool operator()(const HostAddress& address) const {
    std::array<std::uint8_t, 16> bytes{};
    if (inet_pton(AF_INET, address.ip.c_str(), bytes.data()) == 1) {
      ldns_rr_set_type(record, LDNS_RR_TYPE_A);
      return push(ldns_rdf_new_frm_data(LDNS_RDF_TYPE_A, 4, bytes.data()));
    }
    if (inet_pton(AF_INET6, address.ip.c_str(), bytes.data()) != 1) return false;
    ldns_rr_set_type(record, LDNS_RR_TYPE_AAAA);
    return push(ldns_rdf_new_frm_data(LDNS_RDF_TYPE_AAAA, bytes.size(), bytes.data()));
  }
  bool operator()(const Srv& service) const {
    ldns_rr_set_type(record, LDNS_RR_TYPE_SRV);
    return push(number_data(service.priority)) && push(number_data(service.weight)) &&
           push(number_data(service.port)) && push(name_data(service.target));
  }
  bool operator()(const NameServer& server) const {
    ldns_rr_set_type(record, LDNS_RR_TYPE_NS);
    return push(name_data(server.name));
  }
  bool operator()(const Soa& soa) const {
    ldns_rr_set_type(record, LDNS_RR_TYPE_SOA);
    return push(name_data(soa.primary)) && push(name_data(soa.mailbox)) && push(number_data(soa.serial)) &&
           push(period_data(soa.refresh)) && push(period_data(soa.retry)) && push(period_data(soa.expire)) &&
           push(period_data(soa.minimum));
  }
};

// Null: it cannot be said in DNS (an address that is none, a name that is too long), and is left out.
OwnedRecord make_record(const Record& record, const Query& query) {
  OwnedRecord made(ldns_rr_new());
  ldns_rdf* owner = record.owner.empty() ? wire_name_data(query.wire_name) : name_data(record.owner);
  if (owner == nullptr) return nullptr;
  ldns_rr_set_owner(made.get(), owner);
  ldns_rr_set_class(made.get(), LDNS_RR_CLASS_IN);
  ldns_rr_set_ttl(made.get(), record.ttl);
  if (!std::visit(DataWriter{made.get()}, record.data)) return nullptr;
  return made;
}

void push_section(ldns_pkt* packet, ldns_pkt_section section, const std::vector<Record>& records, const Query& query) {
  for (const Record& record : records) {
    OwnedRecord made = make_record(record, query);
    if (made != nullptr && ldns_pkt_push_rr(packet, section, made.get())) static_cast<void>(made.release());
  }
}

Packet make_header(const Query& query) {
  Packet packet(ldns_pkt_new());
  ldns_pkt_set_id(packet.get(), query.id);
  ldns_pkt_set_opcode(packet.get(), static_cast<ldns_pkt_opcode>(query.opcode));
  ldns_pkt_set_rd(packet.get(), query.recursion_desired);
  ldns_pkt_set_cd(packet.get(), query.checking_disabled);
  return packet;
}

void push_question(ldns_pkt* packet, const Query& query) {
  if (query.wire_name.empty()) return;
  OwnedRecord question(ldns_rr_new());
  ldns_rr_set_question(question.get(), true);
  ldns_rr_set_owner(question.get(), wire_name_data(query.wire_name));
  ldns_rr_set_type(question.get(), static_cast<ldns_rr_type>(query.type));
  ldns_rr_set_class(question.get(), static_cast<ldns_rr_class>(query.class_code));
  if (ldns_pkt_push_rr(packet, LDNS_SECTION_QUESTION, question.get())) static_cast<void>(question.release());
}

std::string to_wire(const ldns_pkt* packet) {
  std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
  if (ldns_pkt2wire(&bytes, packet, &size) != LDNS_STATUS_OK) return {};
  std::unique_ptr<std::uint8_t, Free> owned(bytes);
  return {reinterpret_cast<const char*>(bytes), size};
}

enum class Holding : std::uint8_t { everything, no_additional, nothing };

std::string to_wire(const Query& query, const Response& response, Holding holding) {
  Packet packet = make_header(query);
  ldns_pkt_set_qr(packet.get(), true);
  ldns_pkt_set_aa(packet.get(), response.is_authoritative);
  const auto rcode = static_cast<unsigned>(response.rcode);
  ldns_pkt_set_rcode(packet.get(), static_cast<std::uint8_t>(rcode & 0xf));
  if (query.has_edns) {
    ldns_pkt_set_edns_udp_size(packet.get(), kEdnsUdpBytesMax);
    ldns_pkt_set_edns_extended_rcode(packet.get(), static_cast<std::uint8_t>(rcode >> 4));
    ldns_pkt_set_edns_do(packet.get(), query.wants_dnssec);  // RFC 3225 section 3: it is copied
  }
  push_question(packet.get(), query);
  ldns_pkt_set_tc(packet.get(), holding == Holding::nothing);
  if (holding != Holding::nothing) {
    push_section(packet.get(), LDNS_SECTION_ANSWER, response.answer, query);
    push_section(packet.get(), LDNS_SECTION_AUTHORITY, response.authority, query);
  }
  if (holding == Holding::everything) push_section(packet.get(), LDNS_SECTION_ADDITIONAL, response.additional, query);
  return to_wire(packet.get());
}

// Of the header alone, for those whose rest cannot be read.
Query read_header(std::string_view bytes) {
  Query query;
  query.id = u16_at(bytes, 0);
  query.opcode = static_cast<std::uint8_t>(byte_at(bytes, 2) >> 3 & 0xf);
  query.recursion_desired = (byte_at(bytes, 2) & 0x01) != 0;
  query.checking_disabled = (byte_at(bytes, 3) & 0x10) != 0;
  return query;
}

void read_edns(const ldns_pkt* packet, Query& query) {
  query.has_edns = ldns_pkt_edns(packet);
  if (!query.has_edns) return;
  query.edns_version = ldns_pkt_edns_version(packet);
  query.wants_dnssec = ldns_pkt_edns_do(packet);
  // RFC 6891 section 6.2.3: a size below 512 means 512.
  query.udp_bytes_max = std::clamp<std::size_t>(ldns_pkt_edns_udp_size(packet), kPlainUdpBytes, kEdnsUdpBytesMax);
}

std::vector<std::string> texts_of(const ldns_rr_list* records) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; records != nullptr && i < ldns_rr_list_rr_count(records); ++i) {
    std::unique_ptr<char, Free> text(ldns_rr2str(ldns_rr_list_rr(records, i)));
    if (text == nullptr) continue;
    std::string line(text.get());
    std::replace(line.begin(), line.end(), '\t', ' ');
    while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
    texts.push_back(std::move(line));
  }
  return texts;
}

Packet parse(std::string_view bytes) {
  ldns_pkt* packet = nullptr;
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return Packet(ldns_wire2pkt(&packet, data, bytes.size()) == LDNS_STATUS_OK ? packet : nullptr);
}

}  // namespace

Decoded decode(std::string_view bytes) {
  Decoded decoded;
  if (bytes.size() < kHeaderBytes || (byte_at(bytes, 2) & 0x80) != 0) {  // an answer to an answer would never end
    decoded.is_dropped = true;
    return decoded;
  }
  decoded.query = read_header(bytes);
  if (decoded.query.opcode != LDNS_PACKET_QUERY) {
    decoded.rcode = Rcode::not_implemented;
    return decoded;
  }
  // One question (RFC 9619), no records but OPT and TSIG; all else is not worth the library's time.
  decoded.rcode = Rcode::format_error;
  const std::uint16_t questions = u16_at(bytes, 4), answers = u16_at(bytes, 6), authorities = u16_at(bytes, 8),
                      additionals = u16_at(bytes, 10);
  if (bytes.size() > kQueryBytesMax || questions != 1 || answers != 0 || authorities > 1 ||
      additionals > kAdditionalMax)
    return decoded;
  const Packet packet = parse(bytes);
  if (packet == nullptr) return decoded;
  const ldns_rr_list* list = ldns_pkt_question(packet.get());
  if (ldns_rr_list_rr_count(list) != 1) return decoded;
  const ldns_rr* question = ldns_rr_list_rr(list, 0);
  const ldns_rdf* name = ldns_rr_owner(question);
  // The library takes OPT and TSIG out of their section: more than one OPT is an error (RFC 6891 section 6.1.1).
  const std::size_t taken_out = additionals - ldns_rr_list_rr_count(ldns_pkt_additional(packet.get()));
  if (taken_out > 1 && ldns_pkt_tsig(packet.get()) == nullptr) return decoded;
  decoded.rcode = Rcode::no_error;
  decoded.query.wire_name.assign(reinterpret_cast<const char*>(ldns_rdf_data(name)), ldns_rdf_size(name));
  decoded.query.name = readable_name(decoded.query.wire_name);
  decoded.query.type = static_cast<Type>(ldns_rr_get_type(question));
  decoded.query.class_code = static_cast<std::uint16_t>(ldns_rr_get_class(question));
  read_edns(packet.get(), decoded.query);
  return decoded;
}

std::string encode(const Query& query, const Response& response, std::size_t bytes_max, bool is_truncated) {
  if (!is_truncated) {
    std::string wire = to_wire(query, response, Holding::everything);
    if (!wire.empty() && wire.size() <= bytes_max) return wire;
    wire = to_wire(query, response, Holding::no_additional);
    if (!wire.empty() && wire.size() <= bytes_max) return wire;
  }
  return to_wire(query, response, Holding::nothing);
}

std::optional<DecodedResponse> decode_response(std::string_view bytes) {
  const Packet packet = parse(bytes);
  if (packet == nullptr) return std::nullopt;
  const ldns_pkt* raw = packet.get();
  return DecodedResponse{
      .id = ldns_pkt_id(raw),
      .rcode = static_cast<unsigned>(ldns_pkt_get_rcode(raw)) | unsigned{ldns_pkt_edns_extended_rcode(raw)} << 4,
      .is_authoritative = ldns_pkt_aa(raw),
      .is_truncated = ldns_pkt_tc(raw),
      .has_edns = ldns_pkt_edns(raw),
      .question = texts_of(ldns_pkt_question(raw)),
      .answer = texts_of(ldns_pkt_answer(raw)),
      .authority = texts_of(ldns_pkt_authority(raw)),
      .additional = texts_of(ldns_pkt_additional(raw))};
}

std::string encode_query(const Query& query, std::uint16_t edns_udp_bytes) {
  Packet packet = make_header(query);
  Query spelled = query;
  if (spelled.wire_name.empty()) {
    ldns_rdf* name = name_data(query.name);
    if (name == nullptr) return {};
    spelled.wire_name.assign(reinterpret_cast<const char*>(ldns_rdf_data(name)), ldns_rdf_size(name));
    ldns_rdf_deep_free(name);
  }
  push_question(packet.get(), spelled);
  if (edns_udp_bytes != 0) {
    ldns_pkt_set_edns_udp_size(packet.get(), edns_udp_bytes);
    ldns_pkt_set_edns_version(packet.get(), query.edns_version);
  }
  return to_wire(packet.get());
}

}  // namespace lotse::dns
