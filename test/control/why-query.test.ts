/** What `why` finds: domains, networks, times, refusals and failures, in a journal as it is and in a redacted one. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Decision } from '../../src/control/decision.ts';
import { Journal } from '../../src/control/journal.ts';
import { readQuery } from '../../src/control/journal-query.ts';
import { searchJournal } from '../../src/control/journal-search.ts';
import { directory, run } from '../program/program.ts';

const NOW = Date.parse('2026-11-28T12:00:00Z');

function decision(
  queueId: string,
  change: Partial<Decision> & { ip?: string; minutesAgo?: number },
): Decision {
  const { ip = '192.0.2.7', minutesAgo = 0, ...more } = change;
  return {
    time: NOW - minutesAgo * 60_000,
    session: `s${queueId}`,
    transaction: `s${queueId}.1`,
    queueId,
    client: { ip, ptr: 'mx.example' },
    sender: 'joe@a.example',
    recipients: [{ address: 'ann@b.example' }],
    recipientCount: 1,
    verdict: 'accept',
    cpuMilliseconds: 1,
    wallMilliseconds: 1,
    ...more,
  };
}

const REFUSED = { address: 'no@b.example', refused: { code: 550, text: '5.1.1 unknown' } };

const DECISIONS = [
  decision('OLD', { minutesAgo: 3 * 24 * 60, verdict: 'reject' }),
  decision('SIX', { minutesAgo: 90, ip: '2001:db8:1:2::7', sender: 'x@sub.a.example' }),
  decision('PART', {
    minutesAgo: 60,
    ip: '192.0.2.200',
    recipients: [REFUSED, { address: 'ann@c.example' }],
  }),
  decision('NULL', { minutesAgo: 50, ip: '198.51.100.9', sender: '', verdict: 'discard' }),
  decision('LATER', { minutesAgo: 10, verdict: 'tempfail' }),
  decision('FAIL', {
    minutesAgo: 1,
    onError: 'continue',
    failures: [{ callback: 'smtp.do_dot', where: 'p.lua:3', message: 'oops', action: 'continue', times: 1 }],
  }),
];

for (const redact of [false, true]) {
  describe(redact ? 'in a redacted journal' : 'in a journal', () => {
    const cases: Readonly<Record<string, [texts: Parameters<typeof readQuery>[0], found: string]>> = {
      'a domain': [{ what: 'a.example' }, 'FAIL LATER PART OLD'],
      'a domain with @, of a recipient, in capitals': [{ what: '@C.Example' }, 'PART'],
      'an address': [{ what: '<Ann@C.example>' }, 'PART'],
      'the null sender': [{ what: '<>' }, 'NULL'],
      'a queue id': [{ what: 'null' }, 'NULL'],
      'the id of a session': [{ what: 'sSIX' }, 'SIX'],
      'a network': [{ what: '192.0.2.0/24' }, 'FAIL LATER PART OLD'],
      'a wider network': [{ what: '198.51.0.0/16' }, 'NULL'],
      // A redacted journal knows the network of a client alone.
      'a client': [{ what: '192.0.2.200' }, redact ? 'FAIL LATER PART OLD' : 'PART'],
      'an IPv6 client, spelt otherwise': [{ what: '2001:DB8:1:2:0:0:0:7' }, 'SIX'],
      'an IPv6 network': [{ what: '2001:db8::/32' }, 'SIX'],
      'a network of nobody': [{ what: '203.0.113.0/24' }, ''],
      'since an hour and a half': [{ since: '90m' }, 'FAIL LATER NULL PART SIX'],
      'since a time': [{ since: '2026-11-28T11:05' }, 'FAIL LATER NULL'],
      'since a time of another zone': [{ since: '2026-11-28T12:05+01:00' }, 'FAIL LATER NULL'],
      'since a day': [{ since: '2026-11-28' }, 'FAIL LATER NULL PART SIX'],
      'the last two': [{ last: '2' }, 'FAIL LATER'],
      'what was refused or deferred': [{ rejected: 'true' }, 'LATER PART OLD'],
      'what was refused of a network since a day': [
        { rejected: 'true', since: '1d', what: '192.0.2.0/24' },
        'LATER PART',
      ],
      'what passed by a failure': [{ failed: 'true' }, 'FAIL'],
    };
    for (const [name, [texts, found]] of Object.entries(cases)) {
      test(name, async (t) => {
        const path = join(directory(t), 'journal');
        const journal = await Journal.open({ path, maxBytes: 1 << 20, redact, warn: assert.fail });
        for (const each of DECISIONS) journal.add(each);
        await journal.close();
        const entries = await searchJournal(path, readQuery(texts, NOW));
        assert.equal((entries as Decision[]).map(({ queueId }) => queueId).join(' '), found);
      });
    }
  });
}

test('a query that is none: one line that names the option, exit code 64', async (t) => {
  const journal = ['--journal', join(directory(t), 'journal')];
  for (const [args, message] of [
    [[], /^smtpf-milter: why: a queue id, an address, a domain or a network must be named, or --since/],
    [['--since', 'yesterday'], /^smtpf-milter: --since: "yesterday" must be a time that has gone, as 30m/],
    [['--since', '2026-13-40'], /^smtpf-milter: --since: "2026-13-40" must be/],
    [['--last', '0'], /^smtpf-milter: --last: "0" must be a whole number from 1 to/],
    [['192.0.2.0/99'], /^smtpf-milter: "192\.0\.2\.0\/99": must be an IP address or a network/],
  ] as const) {
    const { code, stderr } = await run(['why', ...args, ...journal]);
    assert.equal(code, 64, stderr);
    assert.match(stderr, message);
  }
});
