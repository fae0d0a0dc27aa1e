#include "net/udp.h"

#include <utility>

#include "net/listen.h"
#include "net/loop.h"
#include "net/uv_error.h"
#include "net/uv_handle.h"

namespace lotse::net {
namespace {

class UvUdpSocket final : public UdpSocket {
 public:
  UvUdpSocket(Loop& loop, OnDatagram on_datagram) : loop_(loop), on_datagram_(std::move(on_datagram)) {}

  int open(const Address& address) {
    int code = handle_.open(*this, [&](uv_udp_t* raw) { return uv_udp_init(loop_.raw(), raw); });
    if (code != 0) return code;
    const unsigned flags = address.raw()->sa_family == AF_INET6 ? unsigned{UV_UDP_IPV6ONLY} : 0;
    code = uv_udp_bind(handle_.raw(), address.raw(), flags);
    if (code != 0) return code;
    uv_os_fd_t fd = -1;
    code = uv_fileno(reinterpret_cast<const uv_handle_t*>(handle_.raw()), &fd);
    if (code != 0) return code;
    address_ = local_address(fd);
    return uv_udp_recv_start(handle_.raw(), on_uv_alloc, on_uv_receive);
  }

  bool send(const Address& to, std::string_view bytes) override {
    // libuv does not write through the base, but its type is shared with reading.
    uv_buf_t buffer = uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
    return uv_udp_try_send(handle_.raw(), &buffer, 1, to.raw()) >= 0;
  }
  Address address() const override { return address_; }

 private:
  using Handle = UvHandle<uv_udp_t, UvUdpSocket>;

  static void on_uv_alloc(uv_handle_t* raw, std::size_t, uv_buf_t* buffer) noexcept {
    UvUdpSocket* self = Handle::owner_of(raw);
    if (self == nullptr) return;  // an empty buffer: nothing is read
    std::span<char> shared = self->loop_.read_buffer();
    *buffer = uv_buf_init(shared.data(), static_cast<unsigned>(shared.size()));
  }

  static void on_uv_receive(uv_udp_t* raw, ssize_t count, const uv_buf_t* buffer, const sockaddr* from,
                            unsigned flags) noexcept {
    UvUdpSocket* self = Handle::owner_of(raw);
    // Without an address there was nothing to read. An error is that of one datagram (ECONNREFUSED by ICMP): go on.
    if (self == nullptr || count < 0 || from == nullptr || (flags & UV_UDP_PARTIAL) != 0) return;
    const socklen_t length = from->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    self->on_datagram_({buffer->base, static_cast<std::size_t>(count)}, Address::from_sockaddr(from, length));
  }

  Loop& loop_;
  OnDatagram on_datagram_;
  Address address_;
  Handle handle_;
};

}  // namespace

Result<std::unique_ptr<UdpSocket>> UdpSocket::open(Loop& loop, const Address& address, OnDatagram on_datagram) {
  if (address.is_unix()) return fail(error_from_uv(UV_EAFNOSUPPORT));
  auto socket = std::make_unique<UvUdpSocket>(loop, std::move(on_datagram));
  if (int code = socket->open(address); code != 0) return fail(error_from_uv(code));
  return std::unique_ptr<UdpSocket>(std::move(socket));
}

}  // namespace lotse::net
