/** ESMTP parameters that a script may give: what passes, and what the error says of what does not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { joinParameters } from '../../../src/modules/smtp/esmtp-parameters.ts';

const long = (length: number) => 'x'.repeat(length);

describe('what passes, as it goes to the MTA', () => {
  for (const [command, given, params] of [
    ['RCPT', [], undefined],
    ['RCPT', ['', ' '], undefined],
    ['RCPT', ['NOTIFY=NEVER'], 'NOTIFY=NEVER'],
    ['RCPT', ['notify=Success,FAILURE,delay'], 'notify=Success,FAILURE,delay'],
    ['RCPT', ['NOTIFY=SUCCESS,SUCCESS'], 'NOTIFY=SUCCESS,SUCCESS'],
    ['RCPT', ['ORCPT=rfc822;a@b', 'NOTIFY=NEVER'], 'NOTIFY=NEVER ORCPT=rfc822;a@b'],
    ['RCPT', ['  NOTIFY=NEVER   ORCPT=rfc822;a@b '], 'NOTIFY=NEVER ORCPT=rfc822;a@b'],
    ['RCPT', ['ORCPT=RFC822;a+2Bb+40c+E9;d'], 'ORCPT=RFC822;a+2Bb+40c+E9;d'],
    ['RCPT', ['ORCPT=x400;/c=+'.replace('=+', '+3D')], 'ORCPT=x400;/c+3D'],
    ['RCPT', ['ORCPT=utf-8;a@b'], 'ORCPT=utf-8;a@b'],
    ['RCPT', [`ORCPT=rfc822;${long(493)}`], `ORCPT=rfc822;${long(493)}`],
    ['MAIL', ['RET=FULL'], 'RET=FULL'],
    ['MAIL', ['ret=hdrs'], 'ret=hdrs'],
    ['MAIL', [`ENVID=${long(100)}`], `ENVID=${long(100)}`],
    ['MAIL', ['ENVID=a+20b+3D'], 'ENVID=a+20b+3D'],
    ['MAIL', ['AUTH=<>'], 'AUTH=<>'],
    ['MAIL', ['AUTH=a@b+2Bc'], 'AUTH=a@b+2Bc'],
    ['MAIL', ['SIZE=0'], 'SIZE=0'],
    ['MAIL', ['BODY=7bit'], 'BODY=7bit'],
    // All that a client may have given; Sendmail reads nothing behind SMTPUTF8.
    [
      'MAIL',
      ['SMTPUTF8', 'SIZE=1000', 'BODY=8BITMIME', 'AUTH=<>', 'ENVID=q', 'RET=HDRS'],
      'RET=HDRS ENVID=q SIZE=1000 BODY=8BITMIME AUTH=<> SMTPUTF8',
    ],
  ] as const) {
    test(`${command} ${given.join(' | ').slice(0, 60)}`, () =>
      assert.deepEqual(joinParameters(command, given), { params }));
  }
});

describe('what is refused', () => {
  const NOTIFY = 'NOTIFY takes NEVER, or a list of SUCCESS, FAILURE and DELAY';
  const ORCPT = 'ORCPT takes TYPE;ADDRESS with the address in xtext, up to 500 bytes';
  const ENVID = 'ENVID takes printable ASCII in xtext, up to 100 bytes';
  const AUTH = 'AUTH takes <>, or a mailbox in xtext';
  const OF_RCPT = 'is no parameter of RCPT that Postfix and Sendmail take from a filter: NOTIFY, ORCPT are';
  const OF_MAIL =
    'is no parameter of MAIL that Postfix and Sendmail take from a filter: RET, ENVID, SIZE, BODY, AUTH, SMTPUTF8 are';
  for (const [command, given, complaint] of [
    ...[
      'NOTIFY',
      'NOTIFY=',
      'NOTIFY=BOGUS',
      'NOTIFY=NEVER,SUCCESS',
      'NOTIFY=SUCCESS,',
      'NOTIFY=SUCCESS,,DELAY',
    ].map((text) => ['RCPT', text, `${text}: ${NOTIFY}`]),
    ...['NOTIFY=NEVER;x', 'NOTIFY=NEVER=x', 'NOTIFY=,SUCCESS'].map((text) => [
      'RCPT',
      text,
      `${text}: ${NOTIFY}`,
    ]),
    ['RCPT', 'NOTIFY=SUCCESS, FAILURE', `NOTIFY=SUCCESS,: ${NOTIFY}`],
    ['RCPT', 'NOTIFY=SUCCESS notify=NEVER', 'NOTIFY is there twice'],
    ...[
      'ORCPT',
      'ORCPT=',
      'ORCPT=nonsense',
      'ORCPT=;x',
      'ORCPT=rfc822;',
      'ORCPT=rfc822;a=b',
      'ORCPT=rfc822;a+',
    ].map((text) => ['RCPT', text, `${text}: ${ORCPT}`]),
    ...[
      'ORCPT=rfc822;a+4',
      'ORCPT=rfc822;a+GG',
      'ORCPT=rfc822;a+2b',
      'ORCPT=rfc822;a+00b',
      'ORCPT=rfc822;a+0Ab',
    ].map((text) => ['RCPT', text, `${text}: ${ORCPT}`]),
    ...['ORCPT=a"b;x', 'ORCPT=a.b;x', 'ORCPT=utf-8;a\\x{E9}@b'].map((text) => [
      'RCPT',
      text,
      `${text}: ${ORCPT}`,
    ]),
    ['RCPT', `ORCPT=rfc822;${long(494)}`, `ORCPT=rfc822;${long(47)}...: ${ORCPT}`],
    ['RCPT', 'ORCPT=rfc822;a ORCPT=rfc822;b', 'ORCPT is there twice'],
    ['RCPT', 'FOO=bar', `FOO ${OF_RCPT}`],
    ['RCPT', 'second@dest.test', `second@dest.test ${OF_RCPT}`],
    ['RCPT', '=', ` ${OF_RCPT}`],
    ['RCPT', 'NOTIFY=NEVER RET=FULL', `RET ${OF_RCPT}`],
    ['RCPT', 'SIZE=10', `SIZE ${OF_RCPT}`],
    ['RCPT', 'RRVS=2014-04-03T23:01:00Z', `RRVS ${OF_RCPT}`],
    ['RCPT', 'BY=100;R', `BY ${OF_RCPT}`],
    ...['RET', 'RET=', 'RET=X', 'RET=FULL,HDRS'].map((text) => [
      'MAIL',
      text,
      `${text}: RET takes FULL or HDRS`,
    ]),
    ['MAIL', 'RET=FULL RET=FULL', 'RET is there twice'],
    ...[
      'ENVID',
      'ENVID=',
      'ENVID=a=b',
      'ENVID=a+',
      'ENVID=a+GG',
      'ENVID=a+2b',
      'ENVID=a+09',
      'ENVID=a+FF',
    ].map((text) => ['MAIL', text, `${text}: ${ENVID}`]),
    ['MAIL', `ENVID=${long(101)}`, `ENVID=${long(54)}...: ${ENVID}`],
    ...['SIZE', 'SIZE=', 'SIZE=abc', 'SIZE=-1', 'SIZE=1.5', 'SIZE=0x10', `SIZE=${'9'.repeat(21)}`].map(
      (text) => ['MAIL', text, `${text}: SIZE takes a number of bytes`],
    ),
    ...['BODY', 'BODY=', 'BODY=X', 'BODY=BINARYMIME'].map((text) => [
      'MAIL',
      text,
      `${text}: BODY takes 7BIT or 8BITMIME`,
    ]),
    ...['SMTPUTF8=', 'SMTPUTF8=x'].map((text) => ['MAIL', text, `${text}: SMTPUTF8 takes no value`]),
    ...['AUTH', 'AUTH=', 'AUTH=+GG', 'AUTH=a+0A'].map((text) => ['MAIL', text, `${text}: ${AUTH}`]),
    ...[
      'BY=100;R',
      'REQUIRETLS',
      'MT-PRIORITY=3',
      'HOLDFOR=100',
      'HOLDUNTIL=2030-01-01T00:00:00Z',
      'NOTIFY=NEVER',
    ].map((text) => ['MAIL', text, `${text.replace(/=.*/, '')} ${OF_MAIL}`]),
    ...['\r\n', '\n', '\0', '\t', '\x7f', '\xe9'].map((char) => [
      'MAIL',
      `RET=FULL${char}ENVID=x`,
      'control character or 8-bit byte in ESMTP parameters',
    ]),
    ['MAIL', `ENVID=${long(3000)}`, 'ESMTP parameters of more than 2000 bytes'],
  ] as ['MAIL' | 'RCPT', string, string][]) {
    test(`${command} ${JSON.stringify(given.slice(0, 60))}`, () =>
      assert.deepEqual(joinParameters(command, [given]), { complaint }));
  }
});
