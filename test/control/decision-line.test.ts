/** The line of the log about a decision, with values by which a client would like to be taken for another. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type Decision, decisionLine } from '../../src/control/decision.ts';

const FORGED = '"a> client=evil[203.0.113.9] helo=<x>"@a';

const HOSTILE = [
  FORGED,
  'x client=evil[203.0.113.9]: reject: ',
  'xclient=evil[203.0.113.9]',
  'CLIENT=evil[203.0.113.9]',
  '\tclient=evil[203.0.113.9]',
  '\n2026-01-01 smtpf-milter[1]: a.1: client=evil[203.0.113.9]: reject: ',
  'smtpf-milter[1]: a.1: client=evil[203.0.113.9]: reject: x',
  '>\\x20 from=<y> to=<z> size=1 cpu=1ms wall=1ms (script 0123456789ab), size=2',
  'caf\xc3\xa0\xc2\xa0client=evil[203.0.113.9]',
  `${'x'.repeat(140)} client=evil[203.0.113.9]`,
  '',
];

function decisionOf(value: string, change: Partial<Decision> = {}): Decision {
  return {
    time: 0,
    session: 'mx1.1',
    transaction: 'mx1.1.1',
    queueId: '4FXq3T1Zk9',
    client: { ip: '192.0.2.7', ptr: 'mx.example', helo: value },
    sender: value,
    recipients: [
      { address: value, refused: { code: 550, text: `5.1.1 ${value}`, where: '/etc/mail/smtpf.lua:9' } },
    ],
    recipientCount: 1,
    size: 20,
    verdict: 'reject',
    code: 550,
    text: `5.1.1 ${value}`,
    callback: 'smtp.do_rcpt',
    where: '/etc/mail/smtpf.lua:9',
    cpuMilliseconds: 0.25,
    wallMilliseconds: 120,
    script: '0123456789ab',
    ...change,
  };
}

const names = ['client', 'size', 'cpu', 'wall', 'helo', 'from', 'to'];

describe('the line of a decision', () => {
  test('is what docs/log.md says', () => {
    const page = readFileSync(new URL('../../docs/log.md', import.meta.url), 'utf8');
    const example = decisionOf('', {
      session: 'mx0ly30j.1',
      transaction: 'mx0ly30j.1.1',
      client: { ip: '192.0.2.7', ptr: 'mx.example', helo: 'mx.example' },
      sender: 'joe@example.com',
      text: '5.1.1 unknown',
      size: 1523,
      cpuMilliseconds: 0.3,
      wallMilliseconds: 120.4,
      script: 'f38a508dadca',
      recipients: [
        {
          address: 'ann@example.net',
          refused: { code: 550, text: '5.1.1 unknown', where: '/etc/mail/smtpf.lua:9' },
        },
      ],
    });
    assert.ok(page.includes(`\n${decisionLine(example)}\n`), decisionLine(example));
    const [, from] = / (from=<\S*>)/.exec(decisionLine(decisionOf(FORGED))) ?? [];
    assert.ok(page.includes(`\n${from}\n`), from);
  });

  test('has each field once, and the client first, whatever a client says', () => {
    for (const value of HOSTILE) {
      const line = decisionLine(decisionOf(value));
      for (const name of names) {
        assert.equal(line.toLowerCase().split(`${name}=`).length, 2, `${name} in ${line}`);
      }
      assert.match(
        line,
        /^mx1\.1\.1: 4FXq3T1Zk9: client=mx\.example\[192\.0\.2\.7\]: reject: smtp\.do_rcpt: 550 /,
      );
      assert.match(line, / wall=120ms helo=<[^<> "]*> from=<[^<> "]*> to=<[^<> "]*> \(550 5\.1\.1 /);
    }
  });

  test('keeps what is common as it is', () => {
    for (const value of [
      'o+verp=example.com@lists.example',
      "o'neill@example.com",
      '[192.0.2.1]',
      'caf\xc3\xa0@x',
    ]) {
      assert.ok(decisionLine(decisionOf(value)).includes(` from=<${value}> `), value);
    }
  });

  test('holds a name that its owner chose in the DNS, or an address that is none, within its brackets', () => {
    for (const value of HOSTILE) {
      const line = decisionLine(decisionOf('', { client: { ip: value, ptr: value } }));
      const [, client = ''] = /^mx1\.1\.1: 4FXq3T1Zk9: client=(\S*): reject: /.exec(line) ?? [];
      assert.match(client, /^[\w.\\-]+\[[\w.:/\\-]*\]$/);
    }
  });

  test('is read by the filter of docs/log.md, with the right host', (t) => {
    const python = spawnSync('python3', ['--version']);
    if (python.error) {
      t.skip('not run: needs python3 (Debian: apt install python3)');
      return;
    }
    const page = readFileSync(new URL('../../docs/log.md', import.meta.url), 'utf8');
    const [, filter = ''] = /^failregex = (.*)$/m.exec(page) ?? [];
    // What fail2ban puts in the place of <HOST>, in short; the date has been taken away before.
    const host = String.raw`(?P<host>[\w.:-]+)`;
    const heads = ['host smtpf-milter[77]: ', ' smtpf-milter[77]: ', 'smtpf-milter[77]: '];
    const lines = HOSTILE.flatMap((value) => [
      decisionLine(decisionOf(value)),
      decisionLine(decisionOf(value, { verdict: 'accept' })),
      decisionLine(
        decisionOf(value, { callback: 'smtp.do_connect', client: { ip: '192.0.2.7', ptr: value } }),
      ),
    ]).flatMap((line) => heads.map((head) => `${head}${line.replace(/[\n\t]/g, '#')}`));
    const program = `
import json, re, sys
filter, lines = json.load(sys.stdin)
found = [re.search(filter, line) for line in lines]
print(json.dumps([m and m.group("host") for m in found]))`;
    const { stdout, stderr } = spawnSync('python3', ['-c', program], {
      input: JSON.stringify([filter.replace('<HOST>', host), lines]),
      encoding: 'utf8',
    });
    assert.equal(stderr, '');
    const found: (string | null)[] = JSON.parse(stdout);
    assert.equal(found.length, lines.length);
    for (const [index, line] of lines.entries()) {
      const isRefused = line.includes(']: reject: smtp.');
      assert.equal(found[index], isRefused ? '192.0.2.7' : null, line);
    }
    assert.ok(found.filter((of) => of !== null).length >= HOSTILE.length * 3);
  });
});
