/** The global table `smtp`: fields, constants and functions. */
import type { ApiClass, ApiFunction, Chapter, Constant, Field } from './entry.ts';

const SESSION: readonly Field[] = [
  {
    kind: 'field',
    name: 'smtp.sess.id',
    type: 'string',
    doc: 'Id of the SMTP session, short and unique, in every log line',
  },
  {
    kind: 'field',
    name: 'smtp.sess.ip',
    type: 'string',
    doc: 'The client’s address, as `smtp.do_connect` got it',
  },
  {
    kind: 'field',
    name: 'smtp.sess.ptr',
    type: 'string',
    doc: 'The client’s verified name, `""` when it has none',
  },
  {
    kind: 'field',
    name: 'smtp.sess.helo',
    type: 'string|nil',
    doc: 'Argument of the last HELO or EHLO, nil before the first',
  },
  {
    kind: 'field',
    name: 'smtp.sess.port',
    type: 'integer|nil',
    doc: 'The client’s port, nil when the MTA does not tell',
  },
  { kind: 'field', name: 'smtp.sess.family', type: 'string', doc: '`inet`, `inet6`, `unix` or `unknown`' },
  {
    kind: 'field',
    name: 'smtp.sess.auth',
    type: 'smtp.auth|nil',
    doc: 'Who has logged in, from MAIL on; nil when nobody has',
  },
  {
    kind: 'field',
    name: 'smtp.sess.tls',
    type: 'smtp.tls|nil',
    doc: 'The encryption of the connection, from the HELO after STARTTLS on; nil on a plain one',
  },
  {
    kind: 'field',
    name: 'smtp.sess.daemon',
    type: 'string|nil',
    doc: 'Name of the MTA’s daemon: Sendmail’s `Name=`, Postfix’s host name',
  },
  { kind: 'field', name: 'smtp.sess.host', type: 'string|nil', doc: 'The MTA’s own host name' },
  {
    kind: 'field',
    name: 'smtp.sess.local_ip',
    type: 'string|nil',
    doc: 'The MTA’s address that the client is connected to. Sendmail does not tell it on loopback',
  },
];

const TRANSACTION: readonly Field[] = [
  {
    kind: 'field',
    name: 'smtp.tran.id',
    type: 'string|nil',
    doc: 'Id of the transaction, nil between transactions',
  },
  {
    kind: 'field',
    name: 'smtp.tran.sender',
    type: 'string|nil',
    doc: 'Address of MAIL FROM, nil between transactions',
  },
  {
    kind: 'field',
    name: 'smtp.tran.queue_id',
    type: 'string|nil',
    doc: 'The MTA’s queue id as soon as it is known: with Sendmail from MAIL on, with Postfix after the first recipient',
  },
  { kind: 'field', name: 'smtp.tran.params', type: 'smtp.params|nil', doc: 'Parameters of MAIL' },
  {
    kind: 'field',
    name: 'smtp.tran.rcpts',
    type: 'smtp.rcpt_entry[]|nil',
    doc: 'The recipients so far, with the verdict that each got',
  },
  {
    kind: 'field',
    name: 'smtp.tran.size',
    type: 'number|nil',
    doc: 'The size that the client declared; in `smtp.do_dot` the bytes of the message as received',
  },
  {
    kind: 'field',
    name: 'smtp.tran.note',
    type: 'table|nil',
    doc: 'A table of the script’s own, new in each transaction',
  },
  {
    kind: 'field',
    name: 'smtp.note',
    type: 'table',
    doc: 'A table of the script’s own, kept for the session',
  },
  {
    kind: 'field',
    name: 'smtp.trans',
    type: 'table',
    doc: 'Another name of `smtp.tran`, that of smtpf’s own code',
  },
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
        doc: 'the reply code it got, 250 when it was taken; nil while `smtp.do_rcpt` is at work',
      },
      { name: 'text', type: 'string|nil', doc: 'the text of a refusal' },
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
    doc: 'A milter macro. Those that a script names and the MTA does not send by itself are asked for.',
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
    doc: 'Removes a recipient. A message without any is accepted and vanishes.',
  },
  {
    kind: 'function',
    name: 'smtp.set_sender',
    params: [
      { ...ADDRESS, doc: 'one address; `""` is the null sender' },
      { ...ESMTP, doc: 'parameters of MAIL; Postfix uses RET and ENVID' },
    ],
    results: [GRANTED, REFUSED],
    doc: 'Replaces the envelope sender. The last call counts.',
  },
  {
    kind: 'function',
    name: 'smtp.quarantine',
    params: [{ name: 'reason', type: 'string', doc: 'what the MTA notes' }],
    results: [GRANTED, REFUSED],
    doc: 'Has the MTA hold the message in its queue: Postfix in the hold queue, Sendmail quarantined. The client gets 250.',
  },
  {
    kind: 'function',
    name: 'smtp.delay',
    waits: true,
    params: [{ name: 'seconds', type: 'number', doc: 'fractions are fine' }],
    results: [{ type: 'true', doc: 'when the time is over' }],
    doc: 'Waits, and holds up this session only.',
  },
  {
    kind: 'function',
    name: 'must',
    params: [{ name: '...', type: 'any', doc: 'results of a look-up' }],
    results: [{ type: 'any', name: '...', doc: 'the same' }],
    doc: 'Turns “could not find out” (`nil, err`) into an error, and so into the `--on-error` action. Every other result passes unchanged.',
    example: 'if must(dns.listed(smtp.sess.ip, "zen.spamhaus.org")) then return 550, "5.7.1 listed" end',
  },
];

export const smtpChapters: readonly Chapter[] = [
  {
    title: 'The session',
    doc: 'Fields of `smtp.sess`, to be read. `smtp.note` is the script’s own.',
    entries: SESSION,
  },
  {
    title: 'The transaction',
    doc: 'Fields of `smtp.tran`, to be read; nil between transactions. `smtp.tran.note` is the script’s own.',
    entries: TRANSACTION,
  },
  {
    title: 'Reply codes',
    doc: 'Constants for what a callback returns. Any other 4yz or 5yz code may be given as a number.',
    entries: CODES,
  },
  {
    title: 'Envelope and fate of the message',
    doc: 'Changes may be asked for in any callback of a transaction. They are sent to the MTA at the end of the message, when the last callback lets it through.',
    entries: FUNCTIONS,
  },
  { title: 'Tables', doc: 'What the fields above hold.', entries: CLASSES },
];
