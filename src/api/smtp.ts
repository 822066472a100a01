/** The global table `smtp`: fields, constants and functions. */
import type { ApiClass, ApiFunction, Chapter, Constant, Field, Since } from './entry.ts';

const field = (since: Since, name: string, type: string, doc: string): Field => ({
  kind: 'field',
  name: `smtp.${name}`,
  type,
  since,
  doc,
});

const SESSION: readonly Field[] = [
  field('start', 'sess.id', 'string', 'Id of the SMTP session, short and unique, in every log line'),
  field('connect', 'sess.ip', 'string', 'The client’s address, as `smtp.do_connect` got it'),
  field('connect', 'sess.ptr', 'string', 'The client’s verified name, `""` when it has none'),
  field('connect', 'sess.family', 'string', '`inet`, `inet6`, `unix` or `unknown`'),
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
  field('helo', 'sess.helo', 'string|nil', 'Argument of the last HELO or EHLO, nil before the first'),
  field(
    'helo',
    'sess.tls',
    'smtp.tls|nil',
    'The encryption of the connection, from the HELO after STARTTLS on, at MAIL at the latest; nil on a plain one',
  ),
  field(
    'mail',
    'sess.auth',
    'smtp.auth|nil',
    'Who has logged in, from MAIL on; nil when nobody has. It is looked up anew at each MAIL and stays when a transaction ends',
  ),
  field('start', 'note', 'table', 'A table of the script’s own, kept for the session'),
];

const TRANSACTION: readonly Field[] = [
  field('mail', 'tran.id', 'string', 'Id of the transaction, that of the session and a number'),
  field('mail', 'tran.sender', 'string', 'Address of MAIL FROM, `""` for the null sender'),
  field(
    'mail',
    'tran.queue_id',
    'string|nil',
    'The MTA’s queue id as soon as it is known: with Sendmail from MAIL on, with Postfix after the first recipient',
  ),
  field('mail', 'tran.params', 'smtp.params', 'Parameters of MAIL'),
  field(
    'mail',
    'tran.rcpts',
    'smtp.rcpt_entry[]',
    'The recipients so far, with the verdict that each got; refused ones are among them',
  ),
  field(
    'mail',
    'tran.size',
    'number|nil',
    'The size that the client declared; in `smtp.do_dot` the bytes of the message as received',
  ),
  field('mail', 'tran.note', 'table', 'A table of the script’s own, new in each transaction'),
];

export const CLASSES: readonly ApiClass[] = [
  {
    kind: 'class',
    name: 'smtp.params',
    doc: 'ESMTP parameters: an array of strings as sent, and each value by its name in upper case (`""` for one without a value)',
    fields: [
      { name: '[integer]', type: 'string', doc: 'as sent, `SIZE=1000`' },
      { name: '[string]', type: 'string', doc: 'value by name, `params.SIZE`' },
    ],
  },
  {
    kind: 'class',
    name: 'smtp.rcpt_entry',
    doc: 'A recipient of the message',
    fields: [
      { name: 'addr', type: 'string', doc: 'address of RCPT TO' },
      { name: 'params', type: 'smtp.params', doc: 'its parameters' },
      {
        name: 'code',
        type: 'integer|nil',
        doc: 'the reply code it got, 250 when it was taken; 550 or 451 where `--on-error` refused it; nil while `smtp.do_rcpt` is at work',
      },
      { name: 'text', type: 'string|nil', doc: 'the text of a refusal, as the script gave it' },
    ],
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
  },
];

const constant = (name: string, value: number, doc: string): Constant => ({
  kind: 'constant',
  name: `smtp.code.${name}`,
  value,
  doc,
});

export const CODES: readonly Constant[] = [
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
  constant('continue', 0, 'go on'),
  constant(
    'accept',
    1,
    'take the message, no more callbacks for it; at connect and HELO: all messages of the session',
  ),
  constant('discard', 2, 'take the message and drop it; at connect and HELO: all messages of the session'),
  constant('skip', 3, 'no more callbacks of this kind for this message'),
];

const ADDRESS = { name: 'addr', type: 'string', doc: 'one address, with or without angle brackets' };
const GRANTED = { type: 'true|nil', doc: 'true' };
const REFUSED = {
  type: 'string|nil',
  name: 'err',
  doc: '`refused: ...` after nil, where the MTA does not grant the action',
};
const ESMTP = { name: 'params', type: 'string|string[]', optional: true };

const FUNCTIONS: readonly ApiFunction[] = [
  {
    kind: 'function',
    name: 'smtp.macro',
    params: [{ name: 'name', type: 'string', doc: '`i`, `{auth_authen}` or `auth_authen`' }],
    results: [{ type: 'string|nil', doc: 'its value, nil when the MTA has not sent it' }],
    doc: 'A milter macro. It lives as in libmilter: that of a transaction until its end, that of HELO until the next. Those that a script names in full and the MTA does not send by itself are asked for (`--macros`).',
    example: 'local port = smtp.macro "{client_port}"',
  },
  {
    kind: 'function',
    name: 'smtp.add_rcpt',
    params: [ADDRESS, { ...ESMTP, doc: 'parameters of RCPT; Postfix uses NOTIFY and ORCPT' }],
    results: [GRANTED, REFUSED],
    doc: 'Adds a recipient to the message.',
    example: 'smtp.add_rcpt "archive@example.com"',
  },
  {
    kind: 'function',
    name: 'smtp.del_rcpt',
    params: [ADDRESS],
    results: [{ type: 'boolean|nil', doc: 'true, or false when it is no recipient of the message' }, REFUSED],
    doc: 'Removes a recipient, however the client wrote its address (quotes, source route, case of the domain). A message without any is accepted and vanishes.',
  },
  {
    kind: 'function',
    name: 'smtp.set_sender',
    params: [
      { ...ADDRESS, doc: 'one address, with or without angle brackets; `""` and `"<>"` are the null sender' },
      { ...ESMTP, doc: 'parameters of MAIL; Postfix uses RET and ENVID' },
    ],
    results: [GRANTED, REFUSED],
    doc: 'Replaces the envelope sender. The last call counts.',
  },
  {
    kind: 'function',
    name: 'smtp.quarantine',
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
    params: [{ name: '...', type: 'any', doc: 'results of a look-up' }],
    results: [{ type: 'any', name: '...', doc: 'the same' }],
    doc: 'Turns “could not find out” (`nil, err`) into an error, and so into the `--on-error` action. Every other result passes unchanged: `false`, a nil alone, and `false, text` too.',
    example: 'if must(dns.listed(smtp.sess.ip, "zen.spamhaus.org")) then return 550, "5.7.1 listed" end',
  },
];

export const smtpChapters: readonly Chapter[] = [
  {
    title: 'The session',
    doc: 'Fields of `smtp.sess`, to be read: what is written to them changes nothing at the MTA. In the main chunk only the id is known, the rest comes with the callback that the table names. `smtp.note` is the script’s own.',
    entries: SESSION,
  },
  {
    title: 'The transaction',
    doc: 'Fields of `smtp.tran`, to be read; set before `smtp.do_mail` is called, and nil between transactions, that is after `smtp.rset`. `smtp.tran.note` is the script’s own. `smtp.trans`, the name in smtpf’s own code, is the same table.',
    entries: TRANSACTION,
  },
  {
    title: 'Reply codes',
    doc: 'Constants for what a callback returns. Any other 4yz or 5yz code may be given as a number.',
    entries: CODES,
  },
  {
    title: 'Envelope and fate of the message',
    doc: 'Changes may be asked for in any callback of a transaction. They are sent to the MTA at the end of the message, when the last callback lets it through. Outside a transaction, and for what is not exactly one address, the functions raise an error.',
    entries: FUNCTIONS,
  },
  { title: 'Tables', doc: 'What the fields above hold.', entries: CLASSES },
];
