/*
 * side-by-side.lua as a filter in C with libmilter.
 *
 *     cc -O2 -o filter libmilter-filter.c -lmilter -lpthread;  ./filter inet:PORT@127.0.0.1
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <libmilter/mfapi.h>

static const char *const networks[] = { "10.66.", "172.31.255.", "198.51.100.", "203.0.113.", "2001:db8:bad:" };
#define NETWORKS (sizeof networks / sizeof networks[0])
#define SENDERS 20
static char senders[SENDERS][24];
static unsigned long total;

static sfsistat refuse(SMFICTX *ctx, char *text)
{
	smfi_setreply(ctx, "550", "5.7.1", text);
	return SMFIS_REJECT;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	char ip[INET6_ADDRSTRLEN] = "";
	(void)host;
	if (address && address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)address)->sin_addr, ip, sizeof ip);
	else if (address && address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)address)->sin6_addr, ip, sizeof ip);
	for (size_t i = 0; i < NETWORKS; i++)
		if (strncmp(ip, networks[i], strlen(networks[i])) == 0) return refuse(ctx, "client refused");
	smfi_setpriv(ctx, calloc(1, sizeof(size_t)));
	return SMFIS_CONTINUE;
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
	return strcmp(name, "bad.example") == 0 ? refuse(ctx, "name refused") : SMFIS_CONTINUE;
}

static sfsistat on_mail(SMFICTX *ctx, char **argv)
{
	char domain[256];
	size_t length = 0;
	const char *at = strrchr(argv[0], '@');
	size_t *size = smfi_getpriv(ctx);
	if (size) *size = 0;
	if (!at) return SMFIS_CONTINUE;
	for (at++; *at && *at != '>' && length < sizeof domain - 1; at++) domain[length++] = tolower((unsigned char)*at);
	domain[length] = '\0';
	for (int i = 0; i < SENDERS; i++)
		if (strcmp(domain, senders[i]) == 0) return refuse(ctx, "sender refused");
	return SMFIS_CONTINUE;
}

static sfsistat on_rcpt(SMFICTX *ctx, char **argv)
{
	const char *recipient = argv[0] + (argv[0][0] == '<');
	return strncmp(recipient, "nouser", 6) == 0 ? refuse(ctx, "no such user") : SMFIS_CONTINUE;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	if (strcasecmp(name, "Subject") != 0) return SMFIS_CONTINUE;
	while (isspace((unsigned char)*value)) value++;
	if (strncasecmp(value, "spam-", 5) == 0 && isdigit((unsigned char)value[5])) return refuse(ctx, "subject refused");
	return SMFIS_CONTINUE;
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *bytes, size_t length)
{
	size_t *size = smfi_getpriv(ctx);
	(void)bytes;
	if (size) *size += length;
	return SMFIS_CONTINUE;
}

static sfsistat on_end_of_message(SMFICTX *ctx)
{
	size_t *size = smfi_getpriv(ctx);
	if (size) __sync_fetch_and_add(&total, *size);
	return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *ctx)
{
	free(smfi_getpriv(ctx));
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

int main(int argc, char **argv)
{
	struct smfiDesc filter = {
		.xxfi_name = "side by side", .xxfi_version = SMFI_VERSION, .xxfi_connect = on_connect, .xxfi_helo = on_helo,
		.xxfi_envfrom = on_mail, .xxfi_envrcpt = on_rcpt, .xxfi_header = on_header, .xxfi_body = on_body,
		.xxfi_eom = on_end_of_message, .xxfi_close = on_close,
	};
	if (argc != 2) return 2;
	for (int i = 0; i < SENDERS; i++) snprintf(senders[i], sizeof senders[i], "spam%d.example", i + 1);
	smfi_setconn(argv[1]);
	smfi_setbacklog(1024);
	if (smfi_register(filter) != MI_SUCCESS) return 1;
	return smfi_main();
}
