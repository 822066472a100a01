/*
 * The policy of second-opinion.test.ts on Sendmail's own library.
 *
 *     filter unix:PATH [answered]
 *
 * A mark in the text of an event says what is answered: "say=r" in the host name, HELO name, address, SMTP command,
 * header value or body; "data=r" and "eom=r" in the sender's address for the two events without text; "mod=1" there
 * for changes to the message. Without "answered" headers, their end and the body are negotiated to have no reply, and
 * their verdict is kept for the end of the message.
 */
#include <libmilter/mfapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int answered;

struct message {
	char data, eom, held;
	int changes;
	/* Of the connection: header values bring their leading space. */
	int whole_values;
};

static void clear(struct message *m)
{
	m->data = m->eom = m->held = 0;
	m->changes = 0;
}

static struct message *message_of(SMFICTX *ctx)
{
	struct message *m = smfi_getpriv(ctx);
	if (m == NULL) {
		m = calloc(1, sizeof *m);
		smfi_setpriv(ctx, m);
	}
	return m;
}

static char mark(const char *text, size_t length, const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i + n < length; i++)
		if (memcmp(text + i, name, n) == 0)
			return text[i + n];
	return 'c';
}

static sfsistat verdict(SMFICTX *ctx, char letter)
{
	switch (letter) {
	case 'a': return SMFIS_ACCEPT;
	case 'r': return SMFIS_REJECT;
	case 't': return SMFIS_TEMPFAIL;
	case 'd': return SMFIS_DISCARD;
	case 's': return SMFIS_SKIP;
	case 'y': smfi_setreply(ctx, "550", "5.7.1", "No such thing"); return SMFIS_REJECT;
	case 'z': smfi_setreply(ctx, "421", "4.7.0", "Closing"); return SMFIS_TEMPFAIL;
	case 'm': smfi_setmlreply(ctx, "451", "4.7.1", "One", "Two 100%%", NULL); return SMFIS_TEMPFAIL;
	default: return SMFIS_CONTINUE;
	}
}

/* For events of the content. */
static sfsistat content(SMFICTX *ctx, char letter)
{
	struct message *m = message_of(ctx);
	if (answered)
		return verdict(ctx, letter);
	if (m->held == 0 && letter != 'c')
		m->held = letter;
	return SMFIS_NOREPLY;
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1, unsigned long f2, unsigned long f3,
	unsigned long *pf0, unsigned long *pf1, unsigned long *pf2, unsigned long *pf3)
{
	(void)f2, (void)f3;
	message_of(ctx)->whole_values = (f1 & SMFIP_HDR_LEADSPC) != 0;
	*pf0 = f0 & 0xff;
	*pf1 = answered ? f1 & (SMFIP_HDR_LEADSPC | SMFIP_SKIP) : f1 & (SMFIP_HDR_LEADSPC | SMFIP_NR_HDR | SMFIP_NR_EOH | SMFIP_NR_BODY);
	*pf2 = *pf3 = 0;
	return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	(void)address;
	return verdict(ctx, mark(host, strlen(host), "say="));
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
	return verdict(ctx, mark(name, strlen(name), "say="));
}

static sfsistat on_mail(SMFICTX *ctx, char **argv)
{
	struct message *m = message_of(ctx);
	size_t length = strlen(argv[0]);
	clear(m);
	m->data = mark(argv[0], length, "data=");
	m->eom = mark(argv[0], length, "eom=");
	m->changes = mark(argv[0], length, "mod=") == '1';
	return verdict(ctx, mark(argv[0], length, "say="));
}

static sfsistat on_rcpt(SMFICTX *ctx, char **argv)
{
	return verdict(ctx, mark(argv[0], strlen(argv[0]), "say="));
}

static sfsistat on_data(SMFICTX *ctx)
{
	return verdict(ctx, message_of(ctx)->data);
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	(void)name;
	/* The verdict on headers is given at their end. */
	struct message *m = message_of(ctx);
	char letter = mark(value, strlen(value), "say=");
	if (letter != 'c' && m->held == 0)
		m->held = letter;
	return answered ? SMFIS_CONTINUE : SMFIS_NOREPLY;
}

static sfsistat on_eoh(SMFICTX *ctx)
{
	struct message *m = message_of(ctx);
	char letter = m->held == 0 ? 'c' : m->held;
	if (answered)
		m->held = 0;
	return content(ctx, letter);
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *bytes, size_t length)
{
	return content(ctx, mark((char *)bytes, length, "say="));
}

static sfsistat on_eom(SMFICTX *ctx)
{
	struct message *m = message_of(ctx);
	char letter = m->held != 0 ? m->held : m->eom;
	int changes = m->changes && m->held == 0 && (letter == 'c' || letter == 'a');
	clear(m);
	if (changes) {
		size_t skip = m->whole_values ? 0 : 1;
		smfi_addheader(ctx, "X-Added", &" one\n\ttwo"[skip]);
		smfi_insheader(ctx, 0, "X-Inserted", &" first"[skip]);
		smfi_chgheader(ctx, "Subject", 1, &" changed"[skip]);
		smfi_chgheader(ctx, "X-Gone", 2, NULL);
		smfi_addrcpt(ctx, "<new@b.example>");
		smfi_addrcpt_par(ctx, "<par@b.example>", "NOTIFY=NEVER");
		smfi_delrcpt(ctx, "<old@b.example>");
		smfi_chgfrom(ctx, "<from@a.example>", "RET=HDRS");
		smfi_quarantine(ctx, "why");
		smfi_replacebody(ctx, (unsigned char *)"new\r\n", 5);
	}
	return verdict(ctx, letter);
}

static sfsistat on_abort(SMFICTX *ctx)
{
	clear(message_of(ctx));
	return SMFIS_CONTINUE;
}

static sfsistat on_unknown(SMFICTX *ctx, const char *line)
{
	return verdict(ctx, mark(line, strlen(line), "say="));
}

static sfsistat on_close(SMFICTX *ctx)
{
	free(smfi_getpriv(ctx));
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

static struct smfiDesc description = {
	"filter", SMFI_VERSION, 0xff, on_connect, on_helo, on_mail, on_rcpt, on_header, on_eoh,
	on_body, on_eom, on_abort, on_close, on_unknown, on_data, on_negotiate,
};

int main(int argc, char **argv)
{
	if (argc < 2)
		return 64;
	answered = argc > 2 && strcmp(argv[2], "answered") == 0;
	if (smfi_register(description) != MI_SUCCESS || smfi_setconn(argv[1]) != MI_SUCCESS ||
	    smfi_opensocket(1) != MI_SUCCESS)
		return 70;
	puts("ready");
	fflush(stdout);
	return smfi_main();
}
