/*
 * OpenDMARC's library as another opinion. Each line of standard input is a case, its fields apart by tabs:
 *
 *     author's domain, organizational domain, record, domain of the record, SPF's domain (or -), SPF passes (0 or 1),
 *     then for each signature its domain and whether it passes
 *
 * and is answered by one line: pass, none, quarantine or reject, and whether DKIM and SPF are aligned.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <netinet/in.h>
#include <resolv.h>
#include <opendmarc/dmarc.h>

int main(int argc, char **argv)
{
	OPENDMARC_LIB_T lib;
	char line[8192];

	memset(&lib, 0, sizeof lib);
	lib.tld_type = OPENDMARC_TLD_TYPE_MOZILLA;
	strncpy((char *) lib.tld_source_file, argv[1], sizeof lib.tld_source_file - 1);
	if (argc != 2 || opendmarc_policy_library_init(&lib) != DMARC_PARSE_OKAY)
		return 1;
	while (fgets(line, sizeof line, stdin) != NULL) {
		char *field[64];
		int fields = 0, dkim = 0, spf = 0, i;
		char *rest = line;
		DMARC_POLICY_T *policy = opendmarc_policy_connect_init((u_char *) "192.0.2.1", DMARC_POLICY_IP_TYPE_IPV4);
		const char *word = "?";

		line[strcspn(line, "\n")] = '\0';
		while (fields < 64 && (field[fields] = strsep(&rest, "\t")) != NULL)
			fields++;
		opendmarc_policy_store_from_domain(policy, (u_char *) field[0]);
		/* Before what is to be aligned: strict or relaxed counts when that is stored. */
		opendmarc_policy_store_dmarc(policy, (u_char *) field[2], (u_char *) field[0],
		    strcmp(field[0], field[3]) == 0 ? NULL : (u_char *) field[1]);
		if (strcmp(field[4], "-") != 0)
			opendmarc_policy_store_spf(policy, (u_char *) field[4],
			    *field[5] == '1' ? DMARC_POLICY_SPF_OUTCOME_PASS : DMARC_POLICY_SPF_OUTCOME_FAIL,
			    DMARC_POLICY_SPF_ORIGIN_MAILFROM, NULL);
		for (i = 6; i + 1 < fields; i += 2)
			opendmarc_policy_store_dkim(policy, (u_char *) field[i], (u_char *) "s",
			    *field[i + 1] == '1' ? DMARC_POLICY_DKIM_OUTCOME_PASS : DMARC_POLICY_DKIM_OUTCOME_FAIL, NULL);
		switch (opendmarc_get_policy_to_enforce(policy)) {
		case DMARC_POLICY_PASS: word = "pass"; break;
		case DMARC_POLICY_NONE: word = "none"; break;
		case DMARC_POLICY_QUARANTINE: word = "quarantine"; break;
		case DMARC_POLICY_REJECT: word = "reject"; break;
		}
		opendmarc_policy_fetch_alignment(policy, &dkim, &spf);
		printf("%s %d %d\n", word, dkim == DMARC_POLICY_DKIM_ALIGNMENT_PASS, spf == DMARC_POLICY_SPF_ALIGNMENT_PASS);
		opendmarc_policy_connect_shutdown(policy);
	}
	return 0;
}
