/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Data is taken by splice(2) alone, one record a call. recvmsg(2) would walk over empty records for as long
 * as another one is there: a peer that sends nothing else keeps it, and the worker with it, in one system
 * call for as long as it likes. splice(2) returns 0 for an empty record. That may be the end as well; after
 * the peer's FIN the length of the queue tells. So many empty records in a row are the peer's fault, as in
 * OpenSSL.
 *
 * ktls_read() has the bytes go through the worker's small pipe: one more system call for a head, and what is
 * worth it is spliced all the way.
 *
 * In front of anything but data splice(2) fails with EINVAL each time, and the kernel has that one record
 * decrypted and set aside. recvmsg(2) gives it, and nothing behind it, and says of which type it is. Its
 * bytes are fed, in whatever pieces they come, to a small parser: alerts of two bytes, and handshake
 * messages, of which only a server's session tickets may come here; they are skipped. splice(2) fails like
 * that, but once, for a record that the kernel could not parse, too. Therefore after EINVAL a recvmsg(2) has
 * to find something; if it finds nothing, the record was broken, and waiting for more would be for ever.
 *
 * The kernel loses the end of a record for which the pipe has no slot: it takes the record for moved. A
 * record has its bytes in pages, so the slots are counted here, and too little is asked for rather than too
 * much.
 *
 * Before Linux 6.6 the part of a record counts as readable, and a level-triggered poll would spin until the
 * rest comes. So when an event was followed by nothing, SO_RCVLOWAT is set to one byte more than what is
 * queued: the next event then comes with the next byte. On a newer kernel that situation does not arise.
 *
 * What is sent waits in two queues: the socket's, and in front of it one of records that the socket had no
 * room for, which a worker of the kernel carries over when room comes. poll(2) and SIOCOUTQ know of the first
 * alone, and at a shutdown(2) or close(2) the second is dropped. So it is counted: each record has its number
 * (TLS_TX has that of the next) and adds a fixed number of bytes, and what TCP was given is what was
 * acknowledged and what is queued. Since Linux 6.5 there is a third place: while a pipe is not empty, what
 * was taken from it may be in a record that is not complete. At the end of a stream its pipe is empty; that
 * of one which is cut may not be, and then its FIN comes KTLS_STILL_MS late.
 *
 * A KeyUpdate cannot be followed: kernels before 6.14 have no way to, and the secret that the next keys are
 * made of is gone with OpenSSL's object.
 */
#include "ktls.h"

#include <endian.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "timer.h"

#ifndef SOL_TLS
#define SOL_TLS 282 /* linux/socket.h; glibc has it from 2.36 on */
#endif

/* RFC 8446 5.1, 6, 4 */
enum record_type { RECORD_ALERT = 21, RECORD_HANDSHAKE = 22, RECORD_DATA = 23 };
enum alert_level { ALERT_WARNING = 1, ALERT_FATAL = 2 };
enum alert {
	ALERT_CLOSE_NOTIFY = 0,
	ALERT_UNEXPECTED_MESSAGE = 10,
	ALERT_BAD_RECORD_MAC = 20,
	ALERT_RECORD_OVERFLOW = 22,
	ALERT_USER_CANCELED = 90,
};
enum message { MESSAGE_HELLO_REQUEST = 0, MESSAGE_TICKET = 4, MESSAGE_KEY_UPDATE = 24 };

#define MESSAGE_HEADER_BYTES 4
/* A ticket is at most 2^16 bytes and has a few fields around it (RFC 8446 4.6.1). */
#define TICKET_MAX_BYTES ((uint32_t)(2 * 65536))
/* Five pieces a record at most. */
#define CONTROL_PIECE_BYTES 4096
/* Go's server sends one ticket, OpenSSL's two, in a record each. */
#define IGNORED_MAX 16
/* MAX_EMPTY_RECORDS of OpenSSL. */
#define EMPTY_MAX 32
/* RFC 8446 5.2: the header, the type and the tag. RFC 5288 3 has an explicit nonce of 8 bytes in place of the
 * type, RFC 7905 neither. */
#define TLS13_OVERHEAD_BYTES	    (5 + 1 + 16)
#define TLS12_GCM_OVERHEAD_BYTES    (5 + 8 + 16)
#define TLS12_CHACHA_OVERHEAD_BYTES (5 + 16)
/* TCP_CLOSE of netinet/tcp.h, which does not go together with linux/tcp.h. */
#define TCP_STATE_CLOSE 7
/* How often TCP's numbers are read until they belong together. */
#define BASE_TRIES 8

void ktls_readable(struct ktls *ktls)
{
	ktls->is_woken = true;
}

/* A message with room for its record's type. */
struct typed_message {
	struct msghdr header;
	struct iovec iov;
	union {
		struct cmsghdr header; /* for its alignment */
		char bytes[CMSG_SPACE(sizeof(uint8_t))];
	} control;
};

static void typed_message_init(struct typed_message *message, void *data, size_t len)
{
	*message = (struct typed_message){.iov = {.iov_base = data, .iov_len = len}};
	message->header.msg_iov = &message->iov;
	message->header.msg_iovlen = 1;
	message->header.msg_control = message->control.bytes;
	message->header.msg_controllen = sizeof(message->control.bytes);
}

/* A record of another type than data. 0, -EAGAIN or -errno. */
static int send_control(struct ktls *ktls, int fd, uint8_t type, const uint8_t *data, size_t len)
{
	struct typed_message message;
	ssize_t n;

	typed_message_init(&message, (void *)(uintptr_t)data, len);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message.header);
	header->cmsg_level = SOL_TLS;
	header->cmsg_type = TLS_SET_RECORD_TYPE;
	header->cmsg_len = CMSG_LEN(sizeof(type));
	memcpy(CMSG_DATA(header), &type, sizeof(type));
	do
		n = sendmsg(fd, &message.header, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	ktls_took(ktls, (size_t)n);
	return 0;
}

int ktls_close_notify(struct ktls *ktls, int fd)
{
	const uint8_t alert[2] = {ALERT_WARNING, ALERT_CLOSE_NOTIFY};

	return send_control(ktls, fd, RECORD_ALERT, alert, sizeof(alert));
}

/* The connection is lost; the peer is told why, if that can be done at once. */
static int failed(struct ktls *ktls, int fd, enum alert description, const char *failure)
{
	const uint8_t alert[2] = {ALERT_FATAL, (uint8_t)description};
	int pending;
	socklen_t pending_bytes = sizeof(pending);

	ktls->failure = failure;
	if (!ktls->sends)
		return -EPROTO;
	/* A record that could not be decrypted left its error on the socket, and the next call would fail
	 * with it. */
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &pending_bytes);
	(void)send_control(ktls, fd, RECORD_ALERT, alert, sizeof(alert));
	return -EPROTO;
}

/* The kernel says of some broken records only once that they are, and that may have been to a write. */
static int failed_before(const struct ktls *ktls)
{
	return ktls->rekeyed ? -EKEYEXPIRED : -EPROTO;
}

/* What recvmsg(2) and splice(2) say about a record that is none; other errors stay as they are. */
static int read_error(struct ktls *ktls, int fd, int number)
{
	switch (number) {
	case EBADMSG:
		return failed(ktls, fd, ALERT_BAD_RECORD_MAC, "a record was forged or damaged");
	case EMSGSIZE:
		return failed(ktls, fd, ALERT_RECORD_OVERFLOW, "a record is too long");
	case EINVAL:
	case EIO:
		return failed(ktls, fd, ALERT_UNEXPECTED_MESSAGE, "this is not TLS");
	case EKEYEXPIRED: /* Linux 6.14 and later, after a KeyUpdate */
		ktls->failure = "the peer has changed its keys (KeyUpdate), which kernel TLS does not follow";
		ktls->rekeyed = true;
		return -EKEYEXPIRED;
	default:
		return -number;
	}
}

int ktls_write_error(struct ktls *ktls, int fd, int number)
{
	bool is_of_reading = number == EBADMSG || number == EMSGSIZE || number == EINVAL;

	return ktls->receives && is_of_reading ? read_error(ktls, fd, number) : -number;
}

/* 1: harmless; 0: the peer's end; negative: it is over. */
static int take_alert(struct ktls *ktls, uint8_t description)
{
	uint8_t level = ktls->alert_level;

	ktls->alert_level = 0;
	if (description == ALERT_CLOSE_NOTIFY) {
		ktls->close_notify = true;
		return 0;
	}
	/* In TLS 1.3 the level says nothing: all but these two are fatal, and close_notify follows
	 * user_canceled (RFC 8446 6, 6.1). */
	if (description == ALERT_USER_CANCELED || (level == ALERT_WARNING && !ktls->is_tls13))
		return 1;
	ktls->failure = "the peer sent a fatal alert";
	return -EPROTO;
}

/* A handshake message's header is complete. */
static int take_message(struct ktls *ktls, int fd)
{
	bool ticket = ktls->message_type == MESSAGE_TICKET && ktls->message_bytes <= TICKET_MAX_BYTES;
	bool hello_request = ktls->message_type == MESSAGE_HELLO_REQUEST && ktls->message_bytes == 0;

	ktls->message_header_bytes = 0;
	if (ktls->message_type == MESSAGE_KEY_UPDATE)
		return read_error(ktls, fd, EKEYEXPIRED);
	if (ktls->is_client && (ticket || hello_request))
		return 1;
	return failed(ktls, fd, ALERT_UNEXPECTED_MESSAGE,
		      "the peer wants another handshake, which is refused");
}

static int take_handshake(struct ktls *ktls, int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		if (ktls->message_header_bytes == 0 && ktls->message_bytes > 0) { /* a ticket's content */
			size_t n = len < ktls->message_bytes ? len : ktls->message_bytes;
			ktls->message_bytes -= (uint32_t)n;
			data += n;
			len -= n;
			continue;
		}
		if (ktls->message_header_bytes == 0)
			ktls->message_type = *data;
		else
			ktls->message_bytes = ktls->message_bytes << 8 | *data;
		data++;
		len--;
		if (++ktls->message_header_bytes < MESSAGE_HEADER_BYTES)
			continue;
		int result = take_message(ktls, fd);
		if (result < 0)
			return result;
	}
	return 1;
}

/* Bytes of a record that is not data, up to its end if it `is_whole` then. 1: go on; 0: the peer's end;
 * negative: it is over. */
static int take_control(struct ktls *ktls, int fd, uint8_t type, const uint8_t *data, size_t len,
			bool is_whole)
{
	int result = 1;

	/* None of these records may be empty (RFC 8446 5.1), and nobody needs many of them. */
	ktls->ignored_count += is_whole;
	if (len == 0 || ktls->ignored_count > IGNORED_MAX)
		return failed(ktls, fd, ALERT_UNEXPECTED_MESSAGE, "too many records without data");
	if (type == RECORD_HANDSHAKE)
		return take_handshake(ktls, fd, data, len);
	if (type != RECORD_ALERT)
		return failed(ktls, fd, ALERT_UNEXPECTED_MESSAGE, "a record of an unexpected type");
	for (size_t i = 0; i < len && result > 0; i++) {
		if (ktls->alert_level != 0)
			result = take_alert(ktls, data[i]);
		else if (data[i] != ALERT_WARNING && data[i] != ALERT_FATAL)
			result = failed(ktls, fd, ALERT_UNEXPECTED_MESSAGE, "a malformed alert");
		else
			ktls->alert_level = data[i];
	}
	return result;
}

/*
 * An event was about the beginning of a record; see the theory of operation. True: look once more, the rest
 * may have come before the mark was set.
 */
static bool set_watermark(struct ktls *ktls, int fd)
{
	int queued_bytes = 0;

	if (!ktls->is_woken)
		return false;
	ktls->is_woken = false;
	if (ioctl(fd, FIONREAD, &queued_bytes) < 0 || queued_bytes <= 0 || queued_bytes == INT32_MAX)
		return false;
	queued_bytes++;
	ktls->has_watermark =
	    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &queued_bytes, sizeof(queued_bytes)) == 0;
	return true;
}

bool ktls_mark(int fd, int *mark_bytes)
{
	int queued_bytes = 0;

	if (ioctl(fd, FIONREAD, &queued_bytes) < 0 || queued_bytes < 0 || queued_bytes == INT32_MAX ||
	    queued_bytes == *mark_bytes)
		return false;
	*mark_bytes = queued_bytes++;
	return setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &queued_bytes, sizeof(queued_bytes)) == 0;
}

void ktls_unmark(int fd, int *mark_bytes)
{
	const int one = 1;

	if (*mark_bytes > 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
	*mark_bytes = 0;
}

static void got_something(struct ktls *ktls, int fd)
{
	const int one = 1;

	ktls->is_woken = false;
	if (!ktls->has_watermark)
		return;
	ktls->has_watermark = false;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
}

static uint8_t record_type(struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);

	if (header && header->cmsg_level == SOL_TLS && header->cmsg_type == TLS_GET_RECORD_TYPE)
		return *CMSG_DATA(header);
	return 0;
}

/*
 * After a splice(2) that gave 0 bytes: was it the end, not an empty record? After the FIN nothing is added to
 * the queue, so when it is as long as at the last such call, that one has taken no record.
 */
static bool is_at_end(struct ktls *ktls, int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLRDHUP};
	int queued_bytes = 0;

	if (poll(&pollfd, 1, 0) <= 0)
		return false;
	if (ioctl(fd, FIONREAD, &queued_bytes) < 0)
		return true;
	if (ktls->is_ending && queued_bytes == ktls->ending_bytes)
		return true;
	ktls->is_ending = true;
	ktls->ending_bytes = queued_bytes;
	return false;
}

/* Moves data of one record. Returns as ktls_splice(), and -EINVAL at the end, too. */
static ssize_t splice_record(struct ktls *ktls, int fd, struct pipe *pipe, size_t len)
{
	size_t room = pipe_record_room(pipe, len);

	if (room == 0)
		return -EAGAIN;
	for (;;) {
		ssize_t n = pipe_fill(pipe, fd, room);
		ktls->records++;
		if (n == -EAGAIN && pipe->used_bytes == 0 && set_watermark(ktls, fd))
			continue;
		if (n == -EAGAIN)
			return n;
		if (n == -EINVAL || (n == 0 && is_at_end(ktls, fd))) {
			ktls->is_odd = n == -EINVAL;
			return -EINVAL;
		}
		if (n < 0)
			return read_error(ktls, fd, (int)-n);
		got_something(ktls, fd);
		if (n > 0) {
			ktls->is_ending = false;
			ktls->ignored_count = ktls->empty_count = 0;
			return n;
		}
		if (++ktls->empty_count > EMPTY_MAX)
			return failed(ktls, fd, ALERT_UNEXPECTED_MESSAGE, "too many records without data");
	}
}

/* The peer's FIN was read; its close_notify should have come before. */
static ssize_t ended(struct ktls *ktls)
{
	ktls->truncated = !ktls->close_notify;
	return 0;
}

/* What splice(2) has refused: one control record, or the end. Returns as ktls_read(), -EINTR to go on. */
static ssize_t read_control(struct ktls *ktls, int fd, void *data, size_t len)
{
	/* What is no data is not for the caller, whose room may be a byte: a long record would come in as
	 * many pieces. */
	uint8_t scratch[CONTROL_PIECE_BYTES];
	bool is_odd = ktls->is_odd;
	struct typed_message message;
	ssize_t n;

	typed_message_init(&message, is_odd ? scratch : data, is_odd ? sizeof(scratch) : len);
	do
		n = recvmsg(fd, &message.header, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	ktls->is_odd = ktls->is_ending = false;
	ktls->records++;
	if (n < 0 && errno == EAGAIN && is_odd)
		return read_error(ktls, fd, EINVAL);
	if (n < 0 && errno != EAGAIN)
		return read_error(ktls, fd, errno);
	uint8_t type = n < 0 ? 0 : record_type(&message.header);
	if (type == 0) /* nothing is there, or a record of no type: the FIN */
		return ended(ktls);
	got_something(ktls, fd);
	if (type == RECORD_DATA && is_odd) /* splice(2) takes data */
		return read_error(ktls, fd, EINVAL);
	if (type == RECORD_DATA) {
		ktls->ignored_count = ktls->empty_count = 0;
		return n > 0 ? n : -EINTR;
	}
	int result =
	    take_control(ktls, fd, type, message.iov.iov_base, (size_t)n, message.header.msg_flags & MSG_EOR);
	return result > 0 ? -EINTR : result;
}

ssize_t ktls_read(struct ktls *ktls, int fd, struct pipe_pool *pipes, void *data, size_t len)
{
	struct pipe *pipe = pipe_reader(pipes);
	ssize_t n;

	if (ktls->failure)
		return failed_before(ktls);
	if (!pipe)
		return -ENOMEM;
	do {
		n = ktls->is_odd ? -EINVAL : splice_record(ktls, fd, pipe, len);
		if (n > 0)
			return pipe_get(pipe, data, (size_t)n) == n ? n : -EIO;
		if (n == -EINVAL)
			n = read_control(ktls, fd, data, len);
	} while (n == -EINTR);
	return n;
}

ssize_t ktls_splice(struct ktls *ktls, int fd, struct pipe *pipe, size_t len)
{
	if (ktls->failure)
		return failed_before(ktls);
	return ktls->is_odd ? -EINVAL : splice_record(ktls, fd, pipe, len);
}

/* The cipher's tls_crypto_info of the sending direction, whose keys are not for us. */
union crypto_info {
	struct tls12_crypto_info_aes_gcm_128 aes_gcm_128;
	struct tls12_crypto_info_aes_gcm_256 aes_gcm_256;
	struct tls12_crypto_info_chacha20_poly1305 chacha20_poly1305;
};

/* The number of the next record, which each cipher has in the last eight bytes. */
static bool next_record(int fd, uint8_t info_len, uint64_t *number)
{
	union crypto_info info;
	socklen_t len = info_len;
	uint64_t big_endian = 0;
	bool good = getsockopt(fd, SOL_TLS, TLS_TX, &info, &len) == 0 && len == info_len;

	if (good)
		memcpy(&big_endian, (const uint8_t *)&info + info_len - sizeof(big_endian),
		       sizeof(big_endian));
	explicit_bzero(&info, sizeof(info));
	*number = be64toh(big_endian);
	return good;
}

static bool read_tcp_info(int fd, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len) == 0 &&
	       len >= offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info->tcpi_bytes_acked);
}

/* What TCP was given before the first record that is counted. */
static bool read_base(int fd, uint64_t *bytes)
{
	struct tcp_info before = {0}, after = {0};
	int unacked_bytes = 0;

	for (int tries = 0; tries < BASE_TRIES; tries++) {
		if (!read_tcp_info(fd, &before) || ioctl(fd, SIOCOUTQ, &unacked_bytes) < 0 ||
		    unacked_bytes < 0 || !read_tcp_info(fd, &after))
			return false;
		*bytes = (uint64_t)before.tcpi_bytes_acked + (uint64_t)unacked_bytes;
		if (before.tcpi_bytes_acked == after.tcpi_bytes_acked)
			return true;
	}
	return false;
}

void ktls_begin_sending(struct ktls *ktls, int fd)
{
	struct ktls_sent sent = {0};
	struct tls_crypto_info head;
	socklen_t len = sizeof(head);

	ktls->sent = sent;
	if (getsockopt(fd, SOL_TLS, TLS_TX, &head, &len) < 0 || len != sizeof(head))
		return;
	switch (head.cipher_type) {
	case TLS_CIPHER_AES_GCM_128:
		sent.info_len = sizeof(struct tls12_crypto_info_aes_gcm_128);
		sent.overhead_bytes = TLS12_GCM_OVERHEAD_BYTES;
		break;
	case TLS_CIPHER_AES_GCM_256:
		sent.info_len = sizeof(struct tls12_crypto_info_aes_gcm_256);
		sent.overhead_bytes = TLS12_GCM_OVERHEAD_BYTES;
		break;
	case TLS_CIPHER_CHACHA20_POLY1305:
		sent.info_len = sizeof(struct tls12_crypto_info_chacha20_poly1305);
		sent.overhead_bytes = TLS12_CHACHA_OVERHEAD_BYTES;
		break;
	default:
		return;
	}
	if (ktls->is_tls13)
		sent.overhead_bytes = TLS13_OVERHEAD_BYTES;
	if (next_record(fd, sent.info_len, &sent.base_record) && read_base(fd, &sent.base_bytes))
		ktls->sent = sent;
}

bool ktls_sent_look(struct ktls_sent *sent, uint64_t record, uint64_t given_bytes, int unacked_bytes,
		    uint64_t now_ms)
{
	uint64_t records_bytes = sent->taken_bytes + (record - sent->base_record) * sent->overhead_bytes;

	if (given_bytes >= sent->base_bytes + records_bytes)
		return false;
	if (unacked_bytes > 0 || given_bytes != sent->last_given_bytes)
		sent->still_since_ms = 0;
	else if (sent->still_since_ms == 0)
		sent->still_since_ms = now_ms;
	else if (now_ms - sent->still_since_ms >= KTLS_STILL_MS)
		sent->info_len = 0;
	sent->last_given_bytes = given_bytes;
	return sent->info_len > 0;
}

bool ktls_is_holding(struct ktls *ktls, int fd)
{
	struct ktls_sent *sent = &ktls->sent;
	struct tcp_info info = {0};
	int unacked_bytes = 0;
	uint64_t record;

	/* What is acknowledged between the first two calls is in neither: less seems to be given, not more.
	 */
	if (sent->info_len == 0 || !read_tcp_info(fd, &info) || ioctl(fd, SIOCOUTQ, &unacked_bytes) < 0 ||
	    unacked_bytes < 0 || !next_record(fd, sent->info_len, &record))
		return false;
	if (info.tcpi_state == TCP_STATE_CLOSE) /* a reset has emptied the queue; SIOCOUTQ does not tell */
		return false;
	return ktls_sent_look(sent, record, (uint64_t)info.tcpi_bytes_acked + (uint64_t)unacked_bytes,
			      unacked_bytes, timer_now_ms());
}
