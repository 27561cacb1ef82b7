/*
 * Delays every packet that a queue of the kernel's packet filter is given (NFQUEUE) by a fixed time, for
 * kernels without netem: link-delay QUEUE MILLISECONDS. Says that it is ready as the peers of the suite do
 * (bench/peer-process.ts), and ends with its input. Needs libmnl and libnetfilter_queue.
 *
 * The delay is the same for all, so packets leave in the order in which they came: a ring is enough.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Packets that wait here. The kernel keeps one less, so that the ring never overflows. */
enum { RING_LENGTH = 1 << 16, SOCKET_BYTES = 32 << 20, MESSAGE_BYTES = 1 << 17 };

struct waiting {
  uint32_t packet;
  int64_t leaves_ns;
};

static struct waiting ring[RING_LENGTH];
static uint32_t first, end;
static int64_t delay_ns;
static struct mnl_socket *netlink;
static uint16_t queue;

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void send_message(struct nlmsghdr *message) {
  if (mnl_socket_sendto(netlink, message, message->nlmsg_len) < 0) fail("netlink");
}

/* Lets one packet go on its way. */
static void release_packet(uint32_t packet) {
  char buffer[512];
  struct nlmsghdr *message = nfq_nlmsg_put(buffer, NFQNL_MSG_VERDICT, queue);
  nfq_nlmsg_verdict_put(message, (int)packet, NF_ACCEPT);
  send_message(message);
}

static int on_packet(const struct nlmsghdr *message, void *unused) {
  struct nlattr *attributes[NFQA_MAX + 1] = {0};
  (void)unused;
  if (nfq_nlmsg_parse(message, attributes) < 0) return MNL_CB_OK;
  if (attributes[NFQA_PACKET_HDR] == NULL) return MNL_CB_OK;
  const struct nfqnl_msg_packet_hdr *head = mnl_attr_get_payload(attributes[NFQA_PACKET_HDR]);
  ring[end % RING_LENGTH].packet = ntohl(head->packet_id);
  ring[end % RING_LENGTH].leaves_ns = now_ns() + delay_ns;
  end++;
  return MNL_CB_OK;
}

static void bind_queue(void) {
  char buffer[512];
  struct nlmsghdr *message = nfq_nlmsg_put(buffer, NFQNL_MSG_CONFIG, queue);
  nfq_nlmsg_cfg_put_cmd(message, AF_INET, NFQNL_CFG_CMD_BIND);
  send_message(message);
  message = nfq_nlmsg_put(buffer, NFQNL_MSG_CONFIG, queue);
  /* The bytes stay in the kernel; large segments are not cut into packets for our sake. */
  nfq_nlmsg_cfg_put_params(message, NFQNL_COPY_META, 0);
  mnl_attr_put_u32(message, NFQA_CFG_QUEUE_MAXLEN, htonl(RING_LENGTH - 1));
  mnl_attr_put_u32(message, NFQA_CFG_FLAGS, htonl(NFQA_CFG_F_GSO));
  mnl_attr_put_u32(message, NFQA_CFG_MASK, htonl(NFQA_CFG_F_GSO));
  send_message(message);
}

static void open_queue(void) {
  int on = 1, bytes = SOCKET_BYTES;
  netlink = mnl_socket_open(NETLINK_NETFILTER);
  if (netlink == NULL || mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) < 0) fail("netlink");
  bind_queue();
  mnl_socket_setsockopt(netlink, NETLINK_NO_ENOBUFS, &on, sizeof on);
  setsockopt(mnl_socket_get_fd(netlink), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
}

static void read_packets(void) {
  static char buffer[MESSAGE_BYTES];
  ssize_t length;
  while ((length = recv(mnl_socket_get_fd(netlink), buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
    mnl_cb_run(buffer, (size_t)length, 0, mnl_socket_get_portid(netlink), on_packet, NULL);
  if (length < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) fail("recv");
}

int main(int count, char **words) {
  if (count != 3) {
    fputs("link-delay QUEUE MILLISECONDS\n", stderr);
    return 2;
  }
  queue = (uint16_t)atoi(words[1]);
  delay_ns = (int64_t)(atof(words[2]) * 1e6);
  open_queue();
  puts("{\"event\":\"ready\"}");
  fflush(stdout);
  struct pollfd sources[2] = {{mnl_socket_get_fd(netlink), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  for (;;) {
    const int64_t now = now_ns();
    for (; first != end && ring[first % RING_LENGTH].leaves_ns <= now; first++)
      release_packet(ring[first % RING_LENGTH].packet);
    struct timespec wait = {0, 0};
    if (first != end) {
      const int64_t left = ring[first % RING_LENGTH].leaves_ns - now;
      wait.tv_sec = left / 1000000000;
      wait.tv_nsec = left % 1000000000;
    }
    if (ppoll(sources, 2, first == end ? NULL : &wait, NULL) < 0 && errno != EINTR) fail("poll");
    if (sources[0].revents != 0) read_packets();
    if (sources[1].revents != 0) return 0;
  }
}
