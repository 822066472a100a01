/** Rewritten senders: SRS beside postsrsd, and BATV. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { tagSender, untagSender } from '../../src/mail-auth/bounce-tag.ts';
import { srsForward, srsReverse } from '../../src/mail-auth/sender-rewriting.ts';
import { freePort } from '../helpers/loopback.ts';

const DAY_MS = 86_400_000;
const NOW = Date.now();
const OWN = 'forward.example';
const SECRETS = ['the first secret', 'an older one'];

const ADDRESSES = [
  'jane@example.org',
  'Jane.Doe@Example.ORG',
  'jane+tag=x@sub.example.org',
  'a=b=c@example.org',
  '-@example.org',
  'SRS0=AbCd=XY=first.example=jane@second.example',
  'srs0=AbCd=XY=first.example=jane@second.example',
  'SRS0+AbCd=XY=first.example=jane@second.example',
  'SRS1=AbCd=first.example==efGH=XY=zero.example=jane@second.example',
];

describe('SRS beside postsrsd', () => {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-srs-'));
  let daemon: ChildProcess;
  let ports: [forward: number, reverse: number];

  before(async () => {
    writeFileSync(join(directory, 'secret'), `${SECRETS.join('\n')}\n`, { mode: 0o600 });
    ports = [await freePort(), await freePort()];
    daemon = spawn(
      'postsrsd',
      [
        ...['-d', OWN, '-s', join(directory, 'secret'), '-l', '127.0.0.1'],
        ...['-f', String(ports[0]), '-r', String(ports[1])],
      ],
      { stdio: 'ignore' },
    );
    const end = performance.now() + 30_000;
    while (performance.now() < end) {
      assert.equal(daemon.exitCode, null, 'postsrsd has ended');
      if (
        await ask(ports[0], 'x@y.example').then(
          () => true,
          () => false,
        )
      )
        return;
      await sleep(50);
    }
    throw new Error('postsrsd does not answer');
  });
  after(async () => {
    if (daemon.exitCode === null) {
      daemon.kill();
      await once(daemon, 'exit');
    }
    rmSync(directory, { recursive: true });
  });

  /** The protocol of tcp_table(5). */
  async function ask(port: number, address: string): Promise<string> {
    const socket = createConnection(port, '127.0.0.1');
    try {
      socket.write(`get ${address}\n`);
      let answer = '';
      for await (const bytes of socket.setEncoding('latin1')) {
        answer += bytes;
        if (answer.includes('\n')) break;
      }
      const [, code, text = ''] = /^(\d+) (.*)\n/.exec(answer) ?? [];
      return code === '200' ? text : '';
    } finally {
      socket.destroy();
    }
  }

  /** What it makes of an address, and a moment of the day on which it has: the day stands in it. */
  async function theirs(address: string): Promise<[made: string, now: number]> {
    for (;;) {
      const [now, made] = [Date.now(), await ask(ports[0], address)];
      if (Math.floor(now / DAY_MS) === Math.floor(Date.now() / DAY_MS)) return [made, now];
    }
  }

  it('makes of each address what postsrsd makes', async () => {
    for (const address of ADDRESSES) {
      const [made, now] = await theirs(address);
      assert.equal(srsForward(address, OWN, SECRETS, now), made, address);
    }
  });

  it('takes back what postsrsd has made, and postsrsd what we have', async () => {
    for (const address of ADDRESSES) {
      const [made, now] = await theirs(address);
      const ours = srsForward(address, OWN, SECRETS, now);
      const back = srsReverse(made, SECRETS, now);
      assert.ok('address' in back, `${made}: ${'fault' in back ? back.fault : ''}`);
      assert.equal(await ask(ports[1], ours), back.address, address);
    }
    assert.deepEqual(srsReverse(srsForward('Jane@Example.org', OWN, SECRETS, NOW), SECRETS, NOW), {
      address: 'Jane@Example.org',
    });
  });
});

describe('SRS', () => {
  it('leaves the null sender and own senders as they are', () => {
    for (const address of ['', `jane@${OWN}`, `jane@${OWN.toUpperCase()}`, 'nobody']) {
      assert.equal(srsForward(address, OWN, SECRETS, NOW), address);
    }
  });

  it('takes what an older secret has signed, in whatever letters it comes', () => {
    const made = srsForward('jane@example.org', OWN, [SECRETS[1] ?? ''], NOW);
    assert.deepEqual(srsReverse(made.toLowerCase(), SECRETS, NOW), { address: 'jane@example.org' });
  });

  it('takes nothing that we have not made, or that is old, or in another form', () => {
    const made = srsForward('jane@example.org', OWN, SECRETS, NOW);
    const fault = (address: string, now = NOW, secrets = SECRETS) => {
      const back = srsReverse(address, secrets, now);
      return 'fault' in back ? back.fault : back.address;
    };
    assert.equal(fault(made, NOW, ['other']), 'hash');
    assert.equal(fault(made.replace('jane', 'john')), 'hash');
    assert.equal(fault(made.replace('example.org', 'example.net')), 'hash');
    assert.equal(fault(made, NOW + 21 * DAY_MS), 'jane@example.org');
    assert.equal(fault(made, NOW + 22 * DAY_MS), 'expired');
    assert.equal(fault(made, NOW - DAY_MS), 'expired');
    for (const address of [
      'jane@example.org',
      'SRS0=x@a',
      'SRS0=a=b=c@d',
      'SRS1=a=b@d',
      '',
      'SRS0',
      'SRS2=a=b=c=d@e',
    ]) {
      assert.equal(fault(address), 'not SRS', address);
    }
    const twice = srsForward(`${made.slice(0, made.indexOf('@'))}@second.example`, OWN, SECRETS, NOW);
    assert.match(twice, /^SRS1=/);
    assert.equal(fault(twice.replace('second', 'third')), 'hash');
  });
});

describe('BATV', () => {
  it('tags a sender and takes the tag off again, for a week', () => {
    const made = tagSender('jane@example.org', SECRETS, NOW);
    assert.match(made, /^prvs=0\d{3}[0-9a-f]{6}=jane@example\.org$/);
    for (const days of [0, 7]) {
      assert.deepEqual(untagSender(made, SECRETS, NOW + days * DAY_MS), { address: 'jane@example.org' });
    }
    assert.deepEqual(untagSender(made, SECRETS, NOW + 8 * DAY_MS), { fault: 'expired' });
    assert.equal(tagSender(made, SECRETS, NOW), made);
    assert.equal(tagSender('', SECRETS, NOW), '');
  });

  it('makes the tag of draft-levine-smtp-batv-01', () => {
    // Day 10000 and a week: 007. HMAC-SHA1 of "0007jane@example.org" by Python's hmac.
    const made = tagSender('jane@example.org', ['key'], 10_000 * DAY_MS);
    assert.equal(made, 'prvs=00076ebd3f=jane@example.org');
  });

  it('goes on when a new secret is put before the old one, and when the domain changes its letters', () => {
    const made = tagSender('Jane@Example.org', SECRETS, NOW);
    assert.deepEqual(untagSender(made, ['new', ...SECRETS], NOW), { address: 'Jane@Example.org' });
    assert.deepEqual(untagSender(made.replace('Example.org', 'EXAMPLE.ORG'), SECRETS, NOW), {
      address: 'Jane@EXAMPLE.ORG',
    });
    assert.deepEqual(untagSender(made.replace('Jane', 'jane'), SECRETS, NOW), { fault: 'hash' });
  });

  it('takes no tag of others', () => {
    const made = tagSender('jane@example.org', SECRETS, NOW);
    const fault = (address: string, secrets = SECRETS) => {
      const back = untagSender(address, secrets, NOW);
      return 'fault' in back ? back.fault : back.address;
    };
    assert.equal(fault(made, ['other']), 'hash');
    assert.equal(fault(made.replace('jane', 'john')), 'hash');
    assert.equal(fault(made.replace('prvs=0', 'prvs=7')), 'hash');
    assert.equal(fault('jane@example.org'), 'not BATV');
    assert.equal(fault('prvs=jane/0123456789@example.org'), 'not BATV');
  });
});
