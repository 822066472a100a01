/*
 * Plays many MTAs towards one milter and measures it.
 *
 *     cc -O2 -o load load.c;  ./load PORT small|keepalive|reject-at-rcpt|connect-only|bulk|idle CONNECTIONS SECONDS
 *     ./load PORT message CONNECTIONS SECONDS FILE
 *
 * So many connections to 127.0.0.1 are always open; when a session ends the next one begins. As Postfix does, macros and
 * command go out in one write, a command that takes no reply goes out with the next that takes one, and what the filter
 * has negotiated away is left out. Every reply is compared with what the policy of side-by-side.lua must say. The result
 * is one line of JSON; any wrong reply or lost connection is counted in "errors".
 *
 * message: the message in FILE, lines with CR LF, which may be answered with continue or accept.
 * idle: opens the connections, says CONNECT and HELO on each, writes "ready", and waits for the end of standard input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Source: libmilter/mfdef.h */
enum { NOCONNECT = 0x1, NOHELO = 0x2, NOMAIL = 0x4, NORCPT = 0x8, NOBODY = 0x10, NOHDRS = 0x20, NOEOH = 0x40,
       NR_HDR = 0x80, NODATA = 0x200, NR_CONN = 0x1000, NR_HELO = 0x2000, NR_MAIL = 0x4000, NR_RCPT = 0x8000,
       NR_DATA = 0x10000, NR_EOH = 0x40000, NR_BODY = 0x80000, LEADING_SPACE = 0x100000 };
enum { VERSION = 6, ACTIONS = 0x1ff, PROTOCOL = 0x1fffff, CHUNK = 65535 };

struct profile {
	const char *name, *recipient;
	int messages, recipients, headers;
	long body;
	char rcpt_reply;                /* what each recipient must get */
};
static const struct profile profiles[] = {
	{ "small", "user", 1, 1, 10, 2048, 'c' },
	{ "keepalive", "user", 10, 1, 10, 2048, 'c' },
	{ "reject-at-rcpt", "nouser", 1, 10, 10, 2048, 'y' },
	{ "connect-only", "user", 0, 0, 0, 0, 'c' },
	{ "bulk", "user", 1, 3, 25, 1048576, 'c' },
	{ "message", "user", 1, 1, 0, 0, 'c' },
	{ "idle", "user", 0, 0, 0, 0, 'c' },
};

/* What is sent before each reply, for the protocol bits agreed on: the same for all sessions. */
struct step { size_t from, to; char reply; };       /* of the reply, ACCEPTED stands for either */
enum { ACCEPTED = 'a' };
static struct { unsigned char *bytes; size_t length, room; struct step *steps; int count; size_t begun; } script;

static void put(const void *data, size_t n)
{
	if (script.length + n > script.room) {
		script.room = 2 * (script.length + n);
		script.bytes = realloc(script.bytes, script.room);
		if (!script.bytes) abort();
	}
	memcpy(script.bytes + script.length, data, n);
	script.length += n;
}

static void put_packet(char command, const void *data, size_t n)
{
	uint32_t length = htonl((uint32_t)n + 1);
	put(&length, 4);
	put(&command, 1);
	put(data, n);
}

static void await_reply(char reply)
{
	script.steps = realloc(script.steps, (script.count + 1) * sizeof *script.steps);
	if (!script.steps) abort();
	script.steps[script.count++] = (struct step){ script.begun, script.length, reply };
	script.begun = script.length;
}

/* `macros` and `data` hold NULs; their lengths are given. An event that is not wanted sends its macros all the same. */
static void put_event(uint32_t agreed, char command, const char *macros, size_t macros_n, const void *data, size_t n,
                      uint32_t unwanted, uint32_t no_reply, char reply)
{
	if (macros) {
		char packet[512];
		packet[0] = command;
		memcpy(packet + 1, macros, macros_n);
		put_packet('D', packet, macros_n + 1);
	}
	if (agreed & unwanted) return;
	put_packet(command, data, n);
	if (!(agreed & no_reply)) await_reply(reply);
}
#define MACROS(text) text, sizeof text       /* the literal's own NUL ends the last value */
#define NO_MACROS NULL, 0

static void put_header(uint32_t agreed, const char *name, const char *value)
{
	char data[512];
	int n = snprintf(data, sizeof data, "%s%c%s%s", name, 0, agreed & LEADING_SPACE ? " " : "", value);
	put_event(agreed, 'L', NO_MACROS, data, n + 1, NOHDRS, NR_HDR, 'c');
}

/* The message of the profile that has one. */
static struct { unsigned char *bytes; long length; } file;

static void read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END) != 0 || (file.length = ftell(f)) < 0) { perror(path); exit(2); }
	rewind(f);
	file.bytes = malloc(file.length + 1);
	if (!file.bytes || fread(file.bytes, 1, file.length, f) != (size_t)file.length) { perror(path); exit(2); }
	file.bytes[file.length] = 0;
	fclose(f);
}

static void put_file(uint32_t agreed)
{
	const char *line = (const char *)file.bytes;
	while (line[0] != '\r' && line[0] != 0) {
		const char *end = strstr(line, "\r\n"), *colon = strchr(line, ':');
		while (end && (end[2] == ' ' || end[2] == '\t')) end = strstr(end + 2, "\r\n");
		if (!end || !colon || colon > end) { fprintf(stderr, "no header: %.60s\n", line); exit(2); }
		const char *value = colon + 1;
		if (!(agreed & LEADING_SPACE) && *value == ' ') value++;
		char data[1024];
		size_t n = 0;
		for (const char *c = line; c < colon && n < 512; c++) data[n++] = *c;
		data[n++] = 0;
		/* An MTA has its own line ends in folded headers. */
		for (const char *c = value; c < end && n < sizeof data - 1; c++) if (*c != '\r') data[n++] = *c;
		data[n++] = 0;
		put_event(agreed, 'L', NO_MACROS, data, n, NOHDRS, NR_HDR, 'c');
		line = end + 2;
	}
	put_event(agreed, 'N', MACROS("i\0" "4Qbench0001"), "", 0, NOEOH, NR_EOH, 'c');
	const unsigned char *body = (const unsigned char *)line + 2, *last = file.bytes + file.length;
	for (; body < last; body += CHUNK)
		put_event(agreed, 'B', NO_MACROS, body, last - body < CHUNK ? last - body : CHUNK, NOBODY, NR_BODY, 'c');
	put_event(agreed, 'E', MACROS("i\0" "4Qbench0001"), "", 0, 0, 0, ACCEPTED);
}

static void put_message(uint32_t agreed, const struct profile *p)
{
	static unsigned char text[CHUNK];
	char data[128];
	int n = snprintf(data, sizeof data, "<alice@sender.example>%cSIZE=%ld", 0, file.bytes ? file.length : p->body);
	put_event(agreed, 'M', MACROS("{mail_addr}\0" "alice@sender.example"), data, n + 1, NOMAIL, NR_MAIL, 'c');
	for (int i = 0; i < p->recipients; i++) {
		n = snprintf(data, sizeof data, "<%s%d@example.net>", p->recipient, i);
		put_event(agreed, 'R', MACROS("i\0" "4Qbench0001\0" "{rcpt_addr}\0" "user@example.net"), data, n + 1, NORCPT,
		          NR_RCPT, p->rcpt_reply);
	}
	if (p->rcpt_reply != 'c') return;
	put_event(agreed, 'T', MACROS("i\0" "4Qbench0001"), "", 0, NODATA, NR_DATA, 'c');
	if (file.bytes) { put_file(agreed); return; }
	put_header(agreed, "Received", "from client.example.org (client.example.org [192.0.2.1])\n\tby mx.example.net with ESMTPS "
	           "id 4Qbench0001;\n\tMon, 1 Jan 2024 00:00:00 +0000");
	put_header(agreed, "From", "Alice Sender <alice@sender.example>");
	put_header(agreed, "To", "Bob Recipient <bob@example.net>");
	put_header(agreed, "Subject", "Quarterly report");
	put_header(agreed, "Message-ID", "<20240101000000.12345@sender.example>");
	for (int i = 5; i < p->headers; i++) {
		snprintf(data, sizeof data, "X-Header-%d", i);
		put_header(agreed, data, "a value of usual length, which is about sixty octets or so");
	}
	put_event(agreed, 'N', MACROS("i\0" "4Qbench0001"), "", 0, NOEOH, NR_EOH, 'c');
	for (int i = 0; i < CHUNK; i++) text[i] = i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : 'a' + i % 26;
	for (long left = p->body; left > 0; left -= CHUNK)
		put_event(agreed, 'B', NO_MACROS, text, left < CHUNK ? left : CHUNK, NOBODY, NR_BODY, 'c');
	put_event(agreed, 'E', MACROS("i\0" "4Qbench0001"), "", 0, 0, 0, 'c');
}

static void write_script(uint32_t agreed, const struct profile *p)
{
	static const char address[] = "client.example.org\0" "4\x9c\x40" "192.0.2.1";
	static const char helo[] = "client.example.org";
	script.length = script.begun = 0;
	script.count = 0;
	put_event(agreed, 'C', MACROS("j\0" "mx.example.net\0" "{daemon_name}\0" "mx.example.net\0" "v\0" "load 1"), address,
	          sizeof address, NOCONNECT, NR_CONN, 'c');
	if (strcmp(p->name, "connect-only") != 0)
		put_event(agreed, 'H', MACROS("{tls_version}\0" "TLSv1.3"), helo, sizeof helo, NOHELO, NR_HELO, 'c');
	for (int i = 0; i < p->messages; i++) {
		if (i > 0) put_packet('A', "", 0);
		put_message(agreed, p);
	}
	if (strcmp(p->name, "idle") != 0) put_packet('Q', "", 0);
	await_reply(0);
}

struct connection { int fd, step, connecting; size_t sent, received; uint64_t began; unsigned char in[1024]; };

static const struct profile *profile;
static struct sockaddr_in server = { .sin_family = AF_INET };
static int poller, is_negotiated, ready;
static uint32_t agreed_on;
static uint64_t ends_at, sessions, errors;
static char first_error[128] = "";
static double *times;
static size_t times_room;

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static void begin(struct connection *c);

static void end(struct connection *c, const char *error)
{
	if (error) {
		if (errors++ == 0) snprintf(first_error, sizeof first_error, "%s at step %d", error, c->step);
		if (errors > 1000) { fprintf(stderr, "%s\n", first_error); exit(1); }
	} else {
		if (sessions == times_room) {
			times_room = times_room ? 2 * times_room : 65536;
			times = realloc(times, times_room * sizeof *times);
			if (!times) abort();
		}
		times[sessions++] = (now() - c->began) / 1e3;
	}
	close(c->fd);
	c->fd = -1;
	if (now() < ends_at) begin(c);
}

static const unsigned char offer[] = { 0, 0, 0, 13, 'O', 0, 0, 0, VERSION, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff };

/* Sends what the step holds; goes on when nothing is awaited. */
static void say(struct connection *c)
{
	const unsigned char *data = c->step < 0 ? offer : script.bytes + script.steps[c->step].from;
	size_t length = c->step < 0 ? sizeof offer : script.steps[c->step].to - script.steps[c->step].from;
	while (c->sent < length) {
		ssize_t n = send(c->fd, data + c->sent, length - c->sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) break;
		if (n < 0) { end(c, strerror(errno)); return; }
		c->sent += n;
	}
	struct epoll_event event = { .events = EPOLLIN | (c->sent < length ? EPOLLOUT : 0), .data.ptr = c };
	if (c->connecting || c->sent < length) epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
	c->connecting = c->sent < length;
	if (c->sent < length || c->step < 0 || script.steps[c->step].reply) return;
	if (strcmp(profile->name, "idle") == 0) ready++;
	else end(c, NULL);
}

/* One reply packet of `n` bytes behind its length. */
static void hear(struct connection *c, const unsigned char *packet, uint32_t n)
{
	if (c->step < 0) {
		uint32_t protocol;
		if (packet[0] != 'O' || n < 13) { end(c, "no negotiation"); return; }
		memcpy(&protocol, packet + 9, 4);
		protocol = ntohl(protocol);
		if (is_negotiated && protocol != agreed_on) { end(c, "negotiated otherwise"); return; }
		if (!is_negotiated) write_script(protocol, profile);
		is_negotiated = 1;
		agreed_on = protocol;
	} else if ((packet[0] != (unsigned char)script.steps[c->step].reply
	            && !(script.steps[c->step].reply == ACCEPTED && packet[0] == 'c'))
	           || (packet[0] == 'y' && (n < 5 || memcmp(packet + 1, "550 ", 4) != 0))) {
		end(c, "wrong reply");
		return;
	}
	c->step++;
	c->sent = 0;
	say(c);
}

static void receive(struct connection *c)
{
	ssize_t n = recv(c->fd, c->in + c->received, sizeof c->in - c->received, 0);
	if (n < 0 && errno == EAGAIN) return;
	if (n <= 0) { end(c, n < 0 ? strerror(errno) : "closed"); return; }
	c->received += n;
	uint32_t length;
	if (c->received < 5) return;
	memcpy(&length, c->in, 4);
	length = ntohl(length);
	if (length + 4 < c->received) { end(c, "more than one reply"); return; }
	if (length + 4 > c->received) return;
	c->received = 0;
	hear(c, c->in + 4, length);
}

static void begin(struct connection *c)
{
	int one = 1;
	*c = (struct connection){ .step = -1, .began = now(), .connecting = 1 };
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) { perror("socket"); exit(1); }
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS) { perror("connect"); exit(1); }
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
	epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}
static double quantile(double q) { return sessions ? times[(size_t)(q * (sessions - 1))] : 0; }

int main(int argc, char **argv)
{
	struct rlimit files = { 65536, 65536 };
	if (argc != 5 && argc != 6) { fprintf(stderr, "load PORT PROFILE CONNECTIONS SECONDS [FILE]\n"); return 2; }
	for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++)
		if (strcmp(argv[2], profiles[i].name) == 0) profile = &profiles[i];
	if (!profile) { fprintf(stderr, "%s: no profile\n", argv[2]); return 2; }
	if ((strcmp(profile->name, "message") == 0) != (argc == 6)) { fprintf(stderr, "profile message has a FILE, no other\n"); return 2; }
	if (argc == 6) read_file(argv[5]);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0) { getrlimit(RLIMIT_NOFILE, &files); files.rlim_cur = files.rlim_max; setrlimit(RLIMIT_NOFILE, &files); }
	signal(SIGPIPE, SIG_IGN);
	server.sin_port = htons(atoi(argv[1]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	poller = epoll_create1(EPOLL_CLOEXEC);
	long connections = atol(argv[3]);
	int is_idle = strcmp(profile->name, "idle") == 0;
	struct connection *all = calloc(connections, sizeof *all);
	uint64_t start = now(), give_up;
	ends_at = start + (uint64_t)(atof(argv[4]) * 1e9);
	give_up = ends_at + 20000000000u;
	for (long i = 0; i < connections; i++) begin(&all[i]);
	for (;;) {
		struct epoll_event events[256];
		int n = epoll_wait(poller, events, 256, 1000);
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;
			if (c->fd < 0) continue;
			if (events[i].events & EPOLLOUT) say(c);
			else receive(c);
		}
		if (is_idle && ready + (long)errors == connections) break;
		long open = 0;
		for (long i = 0; i < connections && now() >= ends_at; i++) open += all[i].fd >= 0;
		if (now() >= ends_at && open == 0) break;
		if (now() > give_up) { errors += open; strcpy(first_error, "no reply for 20 s"); break; }
	}
	double seconds = (now() - start) / 1e9;
	if (is_idle) {
		char byte;
		printf("ready %d\n", ready);
		fflush(stdout);
		while (read(0, &byte, 1) > 0) continue;
		return errors != 0;
	}
	qsort(times, sessions, sizeof *times, by_size);
	printf("{\"sessions\":%lu,\"messages\":%lu,\"seconds\":%.3f,\"p50\":%.0f,\"p99\":%.0f,\"errors\":%lu,\"firstError\":\"%s\"}\n",
	       sessions, sessions * profile->messages, seconds, quantile(0.5), quantile(0.99), errors, first_error);
	return errors != 0;
}
