/** Inputs that once went wrong, by what they showed. */
import { hex, mta } from '../helpers/packet-builder.ts';

const OPTNEG = mta.optneg(6, 0x1ff, 0x1fffff);
const mail = mta.mail('<a@b.example>');

export const CASES: readonly (readonly [name: string, input: Buffer])[] = [
  ['commands after QUIT were handled', Buffer.concat([OPTNEG, mta.quit(), mta.helo('x'), OPTNEG])],
  [
    'a session after QUIT_NC without CONNECT was not closed',
    Buffer.concat([mta.optneg(6, 0x1ff, 0x01), mta.helo('x'), mta.quitNc(), mta.helo('x'), mail]),
  ],
  [
    'headers after their end changed what the policy had been given',
    Buffer.concat([OPTNEG, mail, mta.eoh(), mta.header('X', 'y')]),
  ],
  ['end of headers twice', Buffer.concat([OPTNEG, mail, mta.eoh(), mta.eoh(), mta.eom()])],
  ['a MAIL in a transaction, cut off', Buffer.concat([OPTNEG, mail, mail])],
  [
    'a transaction before CONNECT went on after it',
    Buffer.concat([OPTNEG, mail, mta.connectUnknown('x'), mta.rcpt('<c@d>')]),
  ],
  [
    'a version without DATA asked about it after a verdict on the session',
    Buffer.concat([mta.optneg(2, 0x1ff, 0x7f), mta.helo('x'), mail, mta.header('X', 'y')]),
  ],
  ['nothing at all', Buffer.alloc(0)],
  ['length 0', hex('00 00 00 00')],
  ['all lengths', Buffer.concat([OPTNEG, hex('ff ff ff ff 4f')])],
  ['a macro packet without a stage', Buffer.concat([OPTNEG, hex('00 00 00 01 44')])],
  ['an odd macro', Buffer.concat([OPTNEG, mta.macro('M', 'i'), mail, mta.abort()])],
];
