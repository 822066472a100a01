/** Mail that does not come by SMTP: sendmail(1) and pickup of Postfix, which play an SMTP session to the milter. */
import assert from 'node:assert/strict';
import { argsOf, type MailCase, PLAIN, PLAIN_ARRIVAL, WHOLE_SESSION } from '../mail-case.ts';

export const SUBMISSION: readonly MailCase[] = [
  {
    name: 'mail submitted with sendmail(1) looks like any other',
    transports: ['tcp'],
    policy: "function answer.mail() trace('tran', smtp.tran.sender) end",
    sessions: [[{ kind: 'submit', args: ['-f', 'a@src.test', 'b@dest.test'], content: PLAIN }]],
    calls: [WHOLE_SESSION.replace('mail', 'mail tran')],
    arrives: [PLAIN_ARRIVAL],
    check(seen) {
      assert.deepEqual(argsOf(seen, 'connect'), [['127.0.0.1', 'localhost']]);
      assert.deepEqual(argsOf(seen, 'helo'), [['localhost']]);
      assert.deepEqual(argsOf(seen, 'mail'), [['a@src.test']]);
      assert.deepEqual(argsOf(seen, 'tran'), [['a@src.test']]);
      assert.deepEqual(argsOf(seen, 'rcpt'), [['b@dest.test']]);
    },
  },
  {
    name: 'mail submitted with a null sender',
    transports: ['tcp'],
    policy: "function answer.mail(sender) trace('sender', #sender) end",
    sessions: [[{ kind: 'submit', args: ['-f', '<>', 'b@dest.test'], content: PLAIN }]],
    calls: [WHOLE_SESSION.replace('mail', 'mail sender')],
    arrives: [{ ...PLAIN_ARRIVAL, mail: '<>' }],
    check: (seen) => assert.deepEqual(argsOf(seen, 'sender'), [['0']]),
  },
];
