/** The global table `smtp`: fields, constants and functions. */
import type { ApiClass, Chapter, Constant, Field, Stage } from '../entry.ts';
import { ACTION_CODES } from './verdict.ts';

const field = (
  from: Stage,
  name: string,
  type: string,
  doc: string,
  more: Pick<Field, 'filled' | 'certain' | 'blank' | 'absent'> = {},
): Field => ({ kind: 'field', name: `smtp.${name}`, type, from, doc, ...more });

const SESSION: readonly Field[] = [
  field('start', 'sess.id', 'string', 'Id of the SMTP session, short and unique, in every log line'),
  field('connect', 'sess.ip', 'string', 'The client’s address, as `smtp.do_connect` got it'),
  field('connect', 'sess.ptr', 'string', 'The client’s verified name, `""` when it has none', {
    blank: 'a client without a verified name',
  }),
  field(
    'connect',
    'sess.family',
    '"inet"|"inet6"|"unix"|"unknown"',
    'What kind of address `ip` is: `inet`, `inet6`, `unix` or `unknown`',
  ),
  field('connect', 'sess.port', 'integer|nil', 'The client’s port, nil when the MTA does not tell'),
  field(
    'connect',
    'sess.daemon',
    'string|nil',
    'Name of the MTA’s daemon: Sendmail’s `Name=`, Postfix’s host name',
  ),
  field('connect', 'sess.host', 'string|nil', 'The MTA’s own host name'),
  field(
    'connect',
    'sess.local_ip',
    'string|nil',
    'The MTA’s address that the client is connected to. Sendmail does not tell it on loopback',
  ),
  field('helo', 'sess.helo', 'string|nil', 'Argument of the last HELO or EHLO, nil before the first', {
    certain: ['helo'],
    absent: 'both MTAs take mail of clients that have said no HELO, unless told otherwise',
  }),
  field(
    'helo',
    'sess.tls',
    'smtp.tls|nil',
    'The encryption of the connection, from the HELO after STARTTLS on, at MAIL at the latest; nil on a plain one',
    { absent: 'the client may not encrypt' },
  ),
  field(
    'mail',
    'sess.auth',
    'smtp.auth|nil',
    'Who has logged in, from MAIL on; nil when nobody has. Each MAIL sets it anew; it stays when a transaction ends',
    { absent: 'the client may not have logged in' },
  ),
  field('start', 'note', 'table', 'A table of the script’s own, kept for the session'),
];

const TRANSACTION: readonly Field[] = [
  field('mail', 'tran.id', 'string', 'Id of the transaction, that of the session and a number'),
  field('mail', 'tran.sender', 'string', 'Sender as `smtp.do_mail` gets it, `""` for the null sender', {
    blank: 'the null sender',
  }),
  field('mail', 'tran.raw_sender', 'string', 'Path of MAIL FROM as the client wrote it, with its brackets'),
  field(
    'mail',
    'tran.queue_id',
    'string|nil',
    'The MTA’s queue id as soon as it is known: with Sendmail from MAIL on, with Postfix after the first recipient',
    { certain: ['data', 'headers', 'chunk', 'dot'] },
  ),
  field('mail', 'tran.params', 'smtp.params', 'Parameters of MAIL'),
  field(
    'mail',
    'tran.rcpts',
    'smtp.rcpt_entry[]',
    'The recipients so far, with the verdict that each got; refused ones are among them',
    { filled: 'rcpt' },
  ),
  field(
    'mail',
    'tran.size',
    'number|nil',
    'The size that the client declared; in `smtp.do_dot` the bytes of the message as received',
    { certain: ['dot'] },
  ),
  field('mail', 'tran.note', 'table', 'A table of the script’s own, new in each transaction'),
];

const CLASSES: readonly ApiClass[] = [
  {
    kind: 'class',
    name: 'smtp.params',
    doc: 'ESMTP parameters: an array of strings as sent, and each value by its name in upper case (`""` for one without a value)',
    fields: [
      { name: '[integer]', type: 'string', doc: 'as sent, `SIZE=1000`' },
      { name: '[string]', type: 'string|nil', doc: 'value by name, `params.SIZE`; nil when it was not sent' },
    ],
    readOnly: true,
  },
  {
    kind: 'class',
    name: 'smtp.rcpt_entry',
    doc: 'A recipient of the message',
    fields: [
      { name: 'addr', type: 'string', doc: 'the recipient as `smtp.do_rcpt` gets it' },
      { name: 'raw', type: 'string', doc: 'path of RCPT TO as the client wrote it, with its brackets' },
      { name: 'params', type: 'smtp.params', doc: 'its parameters' },
      {
        name: 'code',
        type: 'integer|nil',
        doc: 'the reply code it got, 250 when it was taken; 550 or 451 where `--on-error` refused it; nil while `smtp.do_rcpt` is at work',
      },
      { name: 'text', type: 'string|nil', doc: 'the text of a refusal, as the script gave it' },
    ],
    readOnly: true,
  },
  {
    kind: 'class',
    name: 'smtp.auth',
    doc: 'A login by SMTP AUTH',
    fields: [
      { name: 'user', type: 'string', doc: 'login name' },
      { name: 'mech', type: 'string|nil', doc: 'SASL mechanism' },
      { name: 'sender', type: 'string|nil', doc: 'parameter AUTH of MAIL' },
    ],
    readOnly: true,
  },
  {
    kind: 'class',
    name: 'smtp.tls',
    doc: 'The encryption of a connection',
    fields: [
      { name: 'version', type: 'string', doc: '`TLSv1.3`' },
      { name: 'cipher', type: 'string|nil', doc: 'cipher suite' },
      { name: 'bits', type: 'integer|nil', doc: 'effective key length' },
      { name: 'subject', type: 'string|nil', doc: 'subject of the client’s certificate' },
      { name: 'issuer', type: 'string|nil', doc: 'its issuer' },
      { name: 'verified', type: 'boolean', doc: 'whether the MTA trusts the certificate' },
    ],
    readOnly: true,
  },
];

const constant = (name: string, value: number, doc: string): Constant => ({
  kind: 'constant',
  name: `smtp.code.${name}`,
  value,
  doc,
});

const CODES: readonly Constant[] = [
  constant('ok', 250, 'go on'),
  constant('closing', 421, 'refuse for now and close the connection'),
  constant('busy', 450, 'mailbox busy'),
  constant('again', 451, 'try again later, as for greylisting'),
  constant('storage', 452, 'no room now'),
  constant('bad_syntax', 500, 'syntax error'),
  constant('bad_arg', 501, 'syntax error in an argument'),
  constant('bad_command', 502, 'command not implemented'),
  constant('bad_sequence', 503, 'bad sequence of commands'),
  constant('bad_param', 504, 'parameter not implemented'),
  constant('reject', 550, 'refuse'),
  constant('bad_user', 551, 'user not local'),
  constant('over_quota', 552, 'mailbox full, message too large'),
  constant('bad_address', 553, 'mailbox name not allowed'),
  constant('failed', 554, 'transaction failed'),
  constant('continue', ACTION_CODES.continue, 'go on'),
  constant(
    'accept',
    ACTION_CODES.accept,
    'take the message, no more callbacks for it; at connect and HELO: all of the session',
  ),
  constant(
    'discard',
    ACTION_CODES.discard,
    'take the message and drop it; at connect and HELO: all of the session',
  ),
  constant('skip', ACTION_CODES.skip, 'no more callbacks of this kind for this message'),
];

const ADDRESS = { name: 'addr', type: 'string', doc: 'one address, with or without angle brackets' };
const GRANTED = { type: 'true|nil', doc: 'true' };
const REFUSED = {
  type: 'string|nil',
  name: 'err',
  doc: '`refused: ...` after nil, where the MTA does not grant the action',
};
const ESMTP = { name: 'params', type: 'string|string[]', optional: true };

const FUNCTIONS = [
  {
    kind: 'function',
    name: 'smtp.macro',
    params: [{ name: 'name', type: 'string', doc: '`i`, `{auth_authen}` or `auth_authen`' }],
    results: [{ type: 'string|nil', doc: 'its value, nil when the MTA has not sent it' }],
    doc: 'Returns a milter macro. It lives as in libmilter: that of a transaction until its end, that of HELO until the next. The milter asks the MTA for macros that a script names in full and the MTA does not send by itself (`--macros`).',
    example: 'local port = smtp.macro "{client_port}"',
  },
  {
    kind: 'function',
    name: 'smtp.add_rcpt',
    from: 'mail',
    until: 'dot',
    params: [
      ADDRESS,
      {
        ...ESMTP,
        doc: 'parameters of RCPT (RFC 3461): `NOTIFY=NEVER`, or a list of SUCCESS, FAILURE and DELAY; `ORCPT=rfc822;` and an address in xtext, up to 500 bytes',
      },
    ],
    results: [GRANTED, REFUSED],
    doc: 'Adds a recipient to the message. Other parameters, and malformed ones, are an error: Sendmail would leave the recipient out and put its replies to the client out of step.',
    example: 'smtp.add_rcpt "archive@example.com"',
  },
  {
    kind: 'function',
    name: 'smtp.del_rcpt',
    from: 'mail',
    until: 'dot',
    params: [
      {
        ...ADDRESS,
        doc: 'one address, with or without angle brackets, or the `raw` of an entry in `smtp.tran.rcpts`',
      },
    ],
    results: [{ type: 'boolean|nil', doc: 'true, or false when it is no recipient of the message' }, REFUSED],
    doc: 'Removes a recipient, however the client wrote its address. The local part counts with its case. The MTA accepts a message without any recipient, and it vanishes.',
  },
  {
    kind: 'function',
    name: 'smtp.set_sender',
    from: 'mail',
    until: 'dot',
    params: [
      { ...ADDRESS, doc: 'one address, with or without angle brackets; `""` and `"<>"` are the null sender' },
      {
        ...ESMTP,
        doc: 'parameters of MAIL: `RET=FULL` or `RET=HDRS`, `ENVID=` and up to 100 bytes of xtext (RFC 3461); and `SIZE`, `BODY=7BIT` or `8BITMIME`, `AUTH` and `SMTPUTF8`, as a client may have given them',
      },
    ],
    results: [GRANTED, REFUSED],
    doc: 'Replaces the envelope sender. The last call counts. Other parameters (`REQUIRETLS`, `BY`, `HOLDFOR` ...) are an error: no filter can ask for them on both MTAs. Postfix uses RET and ENVID and leaves the rest as the client gave it; on Sendmail, parameters take the place of all that the client gave.',
  },
  {
    kind: 'function',
    name: 'smtp.quarantine',
    from: 'mail',
    until: 'dot',
    params: [
      {
        name: 'reason',
        type: 'string',
        doc: 'what the MTA notes, up to 500 bytes (Postfix keeps 100); not empty; controls become blanks',
      },
    ],
    results: [GRANTED, REFUSED],
    doc: 'Has the MTA hold the message in its queue: Postfix in the hold queue, Sendmail quarantined. The client gets 250. The last call counts.',
  },
  {
    kind: 'function',
    name: 'smtp.delay',
    waits: true,
    params: [
      {
        name: 'seconds',
        type: 'number',
        doc: 'from 0 to a day, fractions are fine; the callback’s deadline counts',
      },
    ],
    results: [{ type: 'true', doc: 'when the time is over' }],
    doc: 'Waits, and holds up this session only.',
  },
  {
    kind: 'function',
    name: 'must',
    passes: true,
    pure: true,
    params: [{ name: '...', type: 'any', doc: 'results of a look-up' }],
    results: [{ type: 'any', name: '...', doc: 'the same' }],
    doc: 'Turns “could not find out” (`nil, err`) into an error, and so into the `--on-error` action. Every other result passes unchanged: `false`, a nil alone, and `false, text` too.',
    example: 'if must(dns.listed(smtp.sess.ip, "zen.spamhaus.org")) then return 550, "5.7.1 listed" end',
  },
] as const;

export const functionsApi = {
  title: 'Envelope and fate of the message',
  doc: 'Any callback of a transaction may ask for changes. The milter sends them to the MTA at the end of the message, when the last callback lets it through. It drops all changes of a callback that fails in the end. Outside a transaction, and for what is not exactly one address, the functions raise an error. Except on Postfix, they also raise one for a new address that Sendmail cannot take: of more than 253 bytes, with bytes from 128 to 159 or 255, or with an empty label in its domain.',
  uses: ['clock'],
  entries: FUNCTIONS,
} as const satisfies Chapter;

export const codesChapter: Chapter = {
  title: 'Reply codes',
  doc: 'Constants for what a callback returns. A callback may return any other 4yz or 5yz code as a number.',
  entries: CODES,
};

export const smtpChapters: readonly Chapter[] = [
  {
    title: 'The session',
    doc: 'Fields of `smtp.sess`, to be read: writing to them changes nothing at the MTA. The main chunk knows the id only; each other field comes with the callback that its line names. `smtp.note` is the script’s own.',
    entries: SESSION,
  },
  {
    title: 'The transaction',
    doc: 'Fields of `smtp.tran`, to be read. They are set before `smtp.do_mail`, and nil between transactions, that is after `smtp.rset`. `smtp.tran.note` is the script’s own. `smtp.trans`, the name in smtpf’s own code, is the same table.',
    entries: TRANSACTION,
  },
  codesChapter,
  functionsApi,
  { title: 'Tables', doc: 'What the fields above hold.', entries: CLASSES },
];
