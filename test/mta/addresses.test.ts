/** Every spelling of an address that a real mail server takes: what a policy sees of it, and what it can do with it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PolicyEvent } from '../../src/milter/policy.ts';
import { ImitatedMta } from '../../src/workbench/imitated-mta.ts';
import { EVERYTHING } from '../helpers/interests.ts';
import { MAILBOX, SPELLINGS, WITHIN_QUOTES } from './address-spellings.ts';
import { besideMta } from './beside-mta.ts';
import { Client } from './mail-client.ts';
import type { MtaName } from './mail-server.ts';
import { postfixUnavailable, startPostfix } from './postfix.ts';
import { sendmailUnavailable, startSendmail } from './sendmail.ts';
import type { MtaSetup } from './suite.ts';
import { policyPrelude, readTrace } from './trace.ts';

const ROOT = new URL('../../', import.meta.url);

/** README's first policy, as it stands there. */
function readmePolicy(): string {
  const readme = readFileSync(new URL('README.md', ROOT), 'utf8');
  const [, policy = ''] = /## A policy\n\n```lua\n(.*?)```/s.exec(readme) ?? [];
  assert.ok(policy.includes('recipient:lower()'));
  return policy;
}

/** examples/closed-list.lua, where the client is a stranger. */
function closedList(): string {
  const text = readFileSync(new URL('examples/closed-list.lua', ROOT), 'latin1');
  const closed = text.replace('"127.0.0.0/8", "::1", ', '');
  assert.notEqual(closed, text);
  return closed;
}

const SENDER_RULE = `
  function smtp.do_mail(sender)
    assert(sender == smtp.tran.sender)
    if sender:lower() == "${MAILBOX}" then return 550, "5.7.1 not you" end
  end`;

/** Deletes the recipients but keep@ by their own addresses, and puts them back if the client is called so. */
const ROUND_TRIP = `
  function smtp.do_dot()
    smtp.set_sender(smtp.tran.sender)
    for _, rcpt in ipairs(smtp.tran.rcpts) do
      if rcpt.addr ~= "keep@dest.test" then
        assert(smtp.del_rcpt(rcpt.addr) == true, rcpt.raw)
        assert(smtp.del_rcpt(rcpt.addr) == false, rcpt.raw)
        assert(smtp.del_rcpt(rcpt.raw) == false, rcpt.raw)
        if smtp.sess.helo == "back.test" then smtp.add_rcpt(rcpt.addr) end
      end
    end
    smtp.add_rcpt("new@dest.test")
  end`;

/** What a delivered address is without quotes; Sendmail's local mailer gets the user alone. */
function plain(delivered: string): string {
  // To Sendmail's local mailer: a user with an @ in the name.
  if (delivered.includes('\\@')) return delivered;
  return delivered
    .replace(/["\\]/g, '')
    .replace(/@example\.com\.?$/i, '')
    .toLowerCase();
}

const defineAddresses =
  (name: MtaName) =>
  (setup: MtaSetup, install: (lua: string) => void): void => {
    for (const [policy, text] of [
      ['README’s first policy', readmePolicy()],
      ['examples/closed-list.lua', closedList()],
    ] as const) {
      test(`no spelling of a closed recipient passes ${policy}`, async (t) => {
        install(text);
        const client = await Client.open(t, setup);
        let closed = 0;
        for (const spelling of SPELLINGS) {
          assert.match(await client.mail('<stranger@src.test>'), /^250/);
          const reply = await client.say(`RCPT TO:${spelling}`);
          if (/members only|this list is closed/.test(reply)) closed += 1;
          if (!reply.startsWith('250')) assert.match(reply, /^5/, `${spelling}: ${reply}`);
          // On Sendmail the users of all its own domains are the same, which only a policy that knows them can tell.
          else if (!/^<(@example\.com:)?all-staff>$/.test(spelling)) {
            const { recipients } = await client.message();
            for (const recipient of recipients) assert.notEqual(plain(recipient), 'all-staff', spelling);
          }
          await client.say('RSET');
        }
        await client.quit();
        assert.ok(closed >= 60, `${closed} are refused by the policy, not by the MTA`);
      });
    }

    test('no spelling of a sender passes a policy that compares it', async (t) => {
      install(SENDER_RULE);
      const client = await Client.open(t, setup);
      let closed = 0;
      for (const spelling of SPELLINGS) {
        const reply = await client.mail(spelling);
        if (/not you/.test(reply)) closed += 1;
        if (!reply.startsWith('250')) assert.match(reply, /^5/, `${spelling}: ${reply}`);
        else {
          assert.match(await client.say('RCPT TO:<b@dest.test>'), /^250/);
          const { sender } = await client.message();
          assert.notEqual(plain(sender), 'all-staff', spelling);
        }
        await client.say('RSET');
      }
      await client.quit();
      assert.ok(closed >= 60, `${closed} are refused by the policy, not by the MTA`);
    });

    test('a policy under `try` and `test` sees what it sees here', async (t) => {
      const trace = join(tmpdir(), `smtpf-milter-addresses-${randomBytes(6).toString('hex')}`);
      const imitated: string[][] = [];
      const seen: (readonly string[])[] = [];
      try {
        install(policyPrelude(trace));
        const client = await Client.open(t, setup);
        for (const spelling of SPELLINGS) {
          // Of a sender the imitation does not know that example.com is an own domain too.
          const asSender = !/@example\.com\S*>?$/.test(spelling) || !/[%!@"].*@example\.com/.test(spelling);
          for (const [command, path] of [
            ['mail', spelling],
            ['rcpt', spelling],
          ] as const) {
            if (command === 'mail' && !asSender) continue;
            const sender = command === 'mail' ? path : '<s@src.test>';
            const taken = await client.mail(sender);
            if (
              command === 'mail'
                ? !taken.startsWith('250')
                : !(await client.say(`RCPT TO:${path}`)).startsWith('250')
            ) {
              await client.say('RSET');
              continue;
            }
            await client.say('RSET');
            imitated.push([command, spelling, await imitatedAddress(name, command, path)]);
            const address = readTrace(trace).findLast((call) => call.name === command)?.args[0] ?? '';
            seen.push([command, spelling, address]);
          }
        }
        await client.quit();
      } finally {
        rmSync(trace, { force: true });
      }
      // The imitation does not read again what was in quotes, nor comments within address literals.
      const known = [...WITHIN_QUOTES];
      if (name === 'sendmail') {
        known.push('<"example.com"!all-staff>', '<list:all-staff%example.com@mta.test;>');
        known.push('<all-staff@[x(y)z]>');
      }
      const others = (rows: readonly (readonly string[])[]) =>
        rows.filter(([, spelling = '']) => !known.includes(spelling));
      assert.deepEqual(others(imitated), others(seen));
      assert.ok(seen.length >= 120, String(seen.length));
    });

    test('every recipient is deleted by the address that the policy sees, and can be added by it', async (t) => {
      install(ROUND_TRIP);
      const deleting = await Client.open(t, setup);
      const returning = await Client.open(t, setup, 'back.test');
      let taken = 0;
      for (const spelling of SPELLINGS) {
        for (const client of [deleting, returning]) {
          assert.match(await client.mail('<s@src.test>'), /^250/);
          const reply = await client.say(`RCPT TO:${spelling}`);
          if (!reply.startsWith('250')) {
            await client.say('RSET');
            continue;
          }
          taken += 1;
          assert.match(await client.say('RCPT TO:<keep@dest.test>'), /^250/);
          const { recipients } = await client.message();
          const others = recipients.filter((recipient) => !/^(keep|new)@dest\.test$/.test(recipient));
          assert.equal(recipients.length - others.length, 2, `${spelling}: ${recipients.join(' ')}`);
          assert.equal(others.length, client === deleting ? 0 : 1, `${spelling}: ${recipients.join(' ')}`);
        }
      }
      await deleting.quit();
      await returning.quit();
      assert.ok(taken >= 120, String(taken));
    });
  };

/** What the event holds that a policy gets from the imitated MTA. */
async function imitatedAddress(kind: MtaName, command: 'mail' | 'rcpt', path: string): Promise<string> {
  let address = '';
  const policy = {
    interests: { ...EVERYTHING, actions: 0 },
    handle(event: PolicyEvent) {
      if (event.kind === command) address = event.address;
      return { kind: 'continue' } as const;
    },
    cancel() {},
    dispose() {},
  };
  const client = { ip: '127.0.0.1', ptr: 'localhost', port: 1, macros: new Map([['j', 'mta.test']]) };
  const mta = new ImitatedMta(kind, client, {
    policies: { open: () => policy },
    nextSessionId: () => 's1',
    warn: () => {},
  });
  await mta.connect();
  await mta.helo('client.test');
  await mta.mail(command === 'mail' ? path : '<s@src.test>');
  if (command === 'rcpt') await mta.rcpt(path);
  await mta.drop();
  return address;
}

besideMta('postfix', 'addresses', postfixUnavailable(), startPostfix, defineAddresses('postfix'));
besideMta('sendmail', 'addresses', sendmailUnavailable(), startSendmail, defineAddresses('sendmail'));
