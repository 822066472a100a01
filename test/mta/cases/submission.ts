/** Mail that does not come by SMTP: sendmail(1) and pickup of Postfix, which play an SMTP session to the milter. */
import assert from 'node:assert/strict';
import { type MailCase, PLAIN, PLAIN_ARRIVAL, WHOLE_SESSION } from '../mail-case.ts';

export const SUBMISSION: readonly MailCase[] = [
  {
    name: 'mail submitted with sendmail(1) looks like any other',
    transports: ['tcp'],
    policy: "function answer.mail() trace('tran', smtp.tran.sender) end",
    sessions: [[{ kind: 'submit', args: ['-f', 'a@src.test', 'b@dest.test'], content: PLAIN }]],
    calls: [WHOLE_SESSION.replace('mail', 'mail tran')],
    arrives: [PLAIN_ARRIVAL],
    check(seen) {
      const args = (name: string) => seen.calls.find((call) => call.name === name)?.args;
      assert.deepEqual(args('connect'), ['127.0.0.1', 'localhost']);
      assert.deepEqual(args('helo'), ['localhost']);
      assert.deepEqual(args('mail'), ['a@src.test']);
      assert.deepEqual(args('tran'), ['a@src.test']);
      assert.deepEqual(args('rcpt'), ['b@dest.test']);
    },
  },
  {
    name: 'mail submitted with a null sender',
    transports: ['tcp'],
    policy: "function answer.mail(sender) trace('sender', #sender) end",
    sessions: [[{ kind: 'submit', args: ['-f', '<>', 'b@dest.test'], content: PLAIN }]],
    calls: [WHOLE_SESSION.replace('mail', 'mail sender')],
    arrives: [{ ...PLAIN_ARRIVAL, mail: '<>' }],
    check: (seen) => assert.deepEqual(seen.calls.find(({ name }) => name === 'sender')?.args, ['0']),
  },
];
