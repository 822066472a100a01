/** A refusal, a deferral and a closing 421 at each callback that can give one: what each mail server makes of it. */
import {
  CLOSED,
  DATA,
  EHLO,
  type Expected,
  GREETING,
  MAIL,
  type MailCase,
  MESSAGE,
  message,
  PLAIN,
  PLAIN_ARRIVAL,
  QUIT,
  RCPT,
  type Step,
  say,
} from '../mail-case.ts';

interface Answer {
  readonly word: string;
  readonly code: number;
  readonly text: string;
}

const REFUSAL: Answer = { word: 'refusal', code: 550, text: '5.7.1 not wanted here' };
const DEFERRAL: Answer = { word: 'deferral', code: 451, text: '4.7.1 come back later' };
const CLOSING: Answer = { word: '421', code: 421, text: '4.3.2 no more of you' };

const LAST = "'refused@dest.test'";
const REFUSED_RCPT = 'RCPT TO:<refused@dest.test>';

/** A policy that gives `answer` in callback `name`, at RCPT to one of the recipients only. */
function policy(name: string, { code, text }: Answer): string {
  const condition = name === 'rcpt' ? `rcpt == ${LAST}` : 'true';
  return `function answer.${name}(rcpt) if ${condition} then return ${code}, '${text}' end end`;
}

/** Sendmail puts the address before a text with code 550 at MAIL and RCPT. */
function own({ code, text }: Answer, address?: string): Expected {
  const reply = `${code} ${text}`;
  if (code !== 550 || !address) return reply;
  const [enhanced, ...words] = text.split(' ');
  return { postfix: reply, sendmail: `${code} ${enhanced} <${address}>... ${words.join(' ')}` };
}

function verdict(
  name: string,
  given: Answer,
  session: readonly Step[],
  calls: string,
  arrives: MailCase['arrives'] = [],
): MailCase {
  return {
    name: `${given.word} at ${name}`,
    policy: policy(name, given),
    sessions: [session],
    calls: [calls],
    arrives,
  };
}

const REFUSED = 'refused@dest.test';
const ENVELOPE = [GREETING, EHLO, MAIL, RCPT];
const UP_TO_DATA = 'connect helo mail rcpt data';

// At connect the mail servers have their own banners; Sendmail has its own words at MAIL too.
const CONNECT: MailCase[] = [
  verdict(
    'connect',
    REFUSAL,
    [
      say('', {
        postfix: /^554 mta\.test ESMTP not accepting connections/,
        sendmail: /^554 mta\.test ESMTP not accepting/,
      }),
      EHLO,
      say('MAIL FROM:<a@src.test>', {
        postfix: '550 5.7.1 not wanted here',
        sendmail: '550 5.0.0 Command rejected',
      }),
      QUIT,
    ],
    'connect close',
  ),
  verdict(
    'connect',
    DEFERRAL,
    [
      GREETING,
      EHLO,
      say('MAIL FROM:<a@src.test>', {
        postfix: '451 4.7.1 come back later',
        sendmail: '451 4.3.2 Please try again later',
      }),
      QUIT,
    ],
    'connect close',
  ),
  verdict('connect', CLOSING, [say('', '421'), CLOSED], 'connect close'),
];

// HELO itself is answered with 250; what follows gets the text.
const HELO: MailCase[] = [
  ...[REFUSAL, DEFERRAL].map((given) =>
    verdict(
      'helo',
      given,
      [GREETING, EHLO, say('MAIL FROM:<a@src.test>', own(given)), QUIT],
      'connect helo close',
    ),
  ),
  verdict('helo', CLOSING, [GREETING, say('EHLO client.test', own(CLOSING)), CLOSED], 'connect helo close'),
];

const MAIL_CASES: MailCase[] = [
  ...[REFUSAL, DEFERRAL].map((given) =>
    verdict(
      'mail',
      given,
      [GREETING, EHLO, say('MAIL FROM:<a@src.test>', own(given, 'a@src.test')), QUIT],
      'connect helo mail rset close',
    ),
  ),
  verdict(
    'mail',
    CLOSING,
    [GREETING, EHLO, say('MAIL FROM:<a@src.test>', own(CLOSING)), CLOSED],
    'connect helo mail rset close',
  ),
];

// One of two recipients, last or first: the other one gets the message.
const RCPT_CASES: MailCase[] = [
  ...[REFUSAL, DEFERRAL].flatMap((given) => {
    const refused = say(REFUSED_RCPT, own(given, REFUSED));
    const calls = 'connect helo mail rcpt rcpt data headers chunk dot rset close';
    const last = [...ENVELOPE, refused, DATA, MESSAGE, QUIT];
    const first = [GREETING, EHLO, MAIL, refused, RCPT, DATA, MESSAGE, QUIT];
    return [
      verdict('rcpt', given, last, calls, [PLAIN_ARRIVAL]),
      {
        ...verdict('rcpt', given, first, calls, [PLAIN_ARRIVAL]),
        name: `${given.word} at rcpt, of the first recipient`,
      },
    ];
  }),
  verdict(
    'rcpt',
    CLOSING,
    [...ENVELOPE, say(REFUSED_RCPT, own(CLOSING)), CLOSED],
    'connect helo mail rcpt rcpt rset close',
  ),
];

// The transaction outlives a refused DATA; here the client gives up.
const DATA_CASES: MailCase[] = [
  ...[REFUSAL, DEFERRAL].map((given) =>
    verdict('data', given, [...ENVELOPE, say('DATA', own(given)), QUIT], `${UP_TO_DATA} rset close`),
  ),
  verdict('data', CLOSING, [...ENVELOPE, say('DATA', own(CLOSING)), CLOSED], `${UP_TO_DATA} rset close`),
];

// The reply comes after the final dot, whichever callback gave it.
const CONTENT: MailCase[] = (
  [
    ['headers', 'headers'],
    ['chunk', 'headers chunk'],
    ['dot', 'headers chunk dot'],
  ] as const
).flatMap(([name, last]) =>
  [REFUSAL, DEFERRAL, CLOSING].map((given) =>
    verdict(
      name,
      given,
      [...ENVELOPE, DATA, message(PLAIN, own(given)), given === CLOSING ? CLOSED : QUIT],
      `${UP_TO_DATA} ${last} rset close`,
    ),
  ),
);

export const VERDICTS: readonly MailCase[] = [
  ...CONNECT,
  ...HELO,
  ...MAIL_CASES,
  ...RCPT_CASES,
  ...DATA_CASES,
  ...CONTENT,
];
