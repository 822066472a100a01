/** The library `test`, which files of policy tests have besides the API of a policy: see src/policy-test. */
import type { ApiClass, ApiFunction, Chapter, Parameter } from '../modules/entry.ts';
import { FAKES } from '../modules/modules.ts';

const SESSION = 'test.smtp_session';
const RESULT = { type: 'test.result', doc: 'what the client sees, and what it came from' };
const MESSAGE: Parameter = {
  name: 'message',
  type: 'string',
  optional: true,
  doc: 'what a failure says first',
};
const REPLY: Parameter = { name: 'result', type: 'test.result', doc: 'result of a command' };
const ADDRESS: Parameter = { name: 'address', type: 'string', doc: 'with or without angle brackets' };
const ESMTP: Parameter = { name: '...', type: 'string', doc: 'ESMTP parameters, `"SIZE=1000"`' };

const fn = (
  name: string,
  params: readonly Parameter[],
  doc: string,
  more: Partial<Pick<ApiFunction, 'results' | 'example'>> = {},
): ApiFunction => ({ kind: 'function', name: `test.${name}`, params, results: [], doc, ...more });

const FUNCTIONS: readonly ApiFunction[] = [
  fn(
    'case',
    [
      { name: 'name', type: 'string', doc: 'what the test shows' },
      { name: 'fn', type: 'function', doc: 'the test; it fails by an error' },
    ],
    'One test, run after the whole file, in a world of its own: no files, DNS records or stopped clocks of others.',
    {
      example:
        'test.case("the list is closed to strangers", function()\n  local s = test.session { ip = "192.0.2.7", helo = "mx.example.net" }\n  s:mail "someone@example.net"\n  test.reply(s:rcpt "all-staff@example.com", 550, "5.7.1 members only")\nend)',
    },
  ),
  fn(
    'policy',
    [{ name: 'path', type: 'string', doc: 'seen from the test file' }],
    'Names the policy under test, where it is not the file of the same name without `_test`.',
  ),
  fn(
    'session',
    [{ name: 'client', type: 'test.client', optional: true, doc: 'who connects' }],
    'A client connects to a server that runs the policy; `greeting` and `helo_reply` of the session are what it saw.',
    { results: [{ type: SESSION, doc: 'the session' }] },
  ),
  ...FAKES.flatMap(({ api }) => api),
  fn(
    'fails',
    [
      {
        name: 'failure',
        type: 'string',
        doc: '`timeout`, `servfail`, `refused`, `unavailable`, `protocol` or `limit`',
      },
    ],
    'Stands for `nil, err` where a test says what a service answers.',
    { results: [{ type: 'any', doc: 'to be given as an answer' }] },
  ),
  fn('env', [{ name: 'variables', type: 'table', doc: 'texts by name' }], 'What `os.getenv` knows.'),
  fn(
    'clock',
    [{ name: 'time', type: 'number', doc: 'as `os.time` gives it' }],
    'Stops the clock of `os.time` and `os.date`.',
  ),
  fn(
    'advance',
    [{ name: 'seconds', type: 'number', doc: 'how far' }],
    'Moves the clock on, as `smtp.delay` does in tests.',
  ),
  fn(
    'file',
    [
      { name: 'name', type: 'string', doc: 'the name by which the policy opens it' },
      { name: 'content', type: 'string', doc: 'its bytes' },
    ],
    'Writes a file that the policy finds in the place of one of that name.',
    { results: [{ type: 'string', doc: 'its path' }] },
  ),
  fn(
    'unreadable',
    [
      { name: 'names', type: 'string', doc: 'names of files; `*` stands for anything' },
      { name: 'at', type: 'string', optional: true, doc: '`open`, or `read` for a file that can be opened' },
    ],
    'Has files fail.',
  ),
  fn('tmp', [], 'The scratch directory of the case.', { results: [{ type: 'string', doc: 'its path' }] }),
  fn(
    'equal',
    [
      { name: 'actual', type: 'any', doc: 'what there is' },
      { name: 'expected', type: 'any', doc: 'what there should be' },
      MESSAGE,
    ],
    'The same content, tables compared in depth.',
  ),
  fn(
    'match',
    [
      { name: 'text', type: 'string|string[]', doc: 'a text, or several of which one must do' },
      { name: 'pattern', type: 'string', doc: 'as it stands, or as a Lua pattern' },
      MESSAGE,
    ],
    'The text has the pattern in it.',
  ),
  fn(
    'reply',
    [
      REPLY,
      { name: 'code', type: 'integer', doc: 'reply code' },
      { name: 'pattern', type: 'string', optional: true, doc: 'looked for in enhanced code and text' },
      MESSAGE,
    ],
    'The reply has this code.',
  ),
  fn(
    'refused',
    [REPLY, { name: 'code', type: 'integer', optional: true, doc: 'any 4yz and 5yz without it' }, MESSAGE],
    'The reply is a refusal.',
  ),
  fn('accepted', [REPLY, MESSAGE], 'The reply is no refusal.'),
];

const method = (
  name: string,
  params: readonly Parameter[],
  doc: string,
  result: ApiFunction['results'][number] | undefined = RESULT,
): ApiFunction => ({
  kind: 'function',
  name: `${SESSION}:${name}`,
  params,
  results: result === undefined ? [] : [result],
  doc,
});

const METHODS: readonly ApiFunction[] = [
  method('helo', [{ name: 'name', type: 'string', doc: 'what the client calls itself' }], 'HELO or EHLO.'),
  method('mail', [ADDRESS, ESMTP], 'MAIL FROM; `""` is the null sender.'),
  method('rcpt', [ADDRESS, ESMTP], 'RCPT TO.'),
  method('data', [], 'DATA alone; `message` says it by itself where that is missing.'),
  method(
    'message',
    [{ name: 'message', type: 'string|test.message', doc: 'the bytes, or headers and body' }],
    'The message, to its end.',
  ),
  method('rset', [], 'RSET.'),
  method(
    'unknown',
    [{ name: 'line', type: 'string', doc: 'the command line' }],
    'A command that the MTA does not know.',
  ),
  method(
    'starttls',
    [{ name: 'version', type: 'string', optional: true, doc: '`TLSv1.3` without it' }],
    'STARTTLS; a new HELO follows.',
  ),
  method(
    'auth',
    [
      { name: 'user', type: 'string', doc: 'login name' },
      { name: 'mech', type: 'string', optional: true, doc: '`PLAIN` without it' },
    ],
    'AUTH.',
  ),
  method('quit', [], 'QUIT.'),
  { ...method('drop', [], 'The client is gone without a word.'), results: [] },
  method('edits', [], 'The changes that the MTA was told of.', { type: 'test.edit[]', doc: 'in order' }),
  method('delivered', [], 'The message as it would be delivered.', {
    type: 'test.delivery|nil',
    doc: 'nil when nobody gets it',
  }),
  method('log', [], 'What the policy has logged.', { type: 'string[]', doc: 'lines' }),
  method('calls', [], 'The callbacks that were called.', { type: 'test.call[]', doc: 'in order' }),
];

const CLASSES: readonly ApiClass[] = [
  {
    kind: 'class',
    name: 'test.client',
    doc: 'Who connects, for `test.session`; every field may be absent',
    fields: [
      { name: 'ip', type: 'string|nil', doc: '`192.0.2.7` without it' },
      { name: 'ptr', type: 'string|nil', doc: 'its verified name' },
      { name: 'port', type: 'integer|nil', doc: 'its port' },
      { name: 'helo', type: 'string|nil', doc: 'what it says at HELO; without it the test says HELO' },
      { name: 'auth', type: 'string|table|nil', doc: 'login name, or `{ user =, mech = }`' },
      { name: 'tls', type: 'string|nil', doc: 'version of TLS, `TLSv1.3`' },
      { name: 'macros', type: 'table|nil', doc: 'milter macros by name' },
      { name: 'mta', type: 'string|nil', doc: 'whose habits the server has, `postfix` or `sendmail`' },
      { name: 'on_error', type: 'string|nil', doc: 'as `--on-error`' },
    ],
  },
  {
    kind: 'class',
    name: SESSION,
    doc: 'An SMTP session',
    fields: [
      { name: 'greeting', type: 'test.result', doc: 'what the client saw first' },
      {
        name: 'helo_reply',
        type: 'test.result|nil',
        doc: 'the answer to HELO, where the client was given one to say',
      },
    ],
  },
  {
    kind: 'class',
    name: 'test.result',
    doc: 'What a command has come to',
    fields: [
      { name: 'command', type: 'string', doc: 'what the client said' },
      { name: 'code', type: 'integer', doc: 'reply code' },
      { name: 'enhanced', type: 'string|nil', doc: 'enhanced status code' },
      { name: 'text', type: 'string', doc: 'text without codes, lines joined by `\\n`' },
      { name: 'lines', type: 'string[]', doc: 'the whole reply' },
      { name: 'action', type: 'string', doc: 'what the MTA does' },
      { name: 'callback', type: 'string|nil', doc: 'the callback that decided, `smtp.do_rcpt`' },
      { name: 'where', type: 'string|nil', doc: '`file:line` that it returned from, or failed at' },
      {
        name: 'failed',
        type: 'string[]|nil',
        doc: 'what failed so far, in the session before its messages and in this message, with `on_error`: `smtp.do_dot, smtpf.lua:3: oops (--on-error continue)`',
      },
      { name: 'edits', type: 'test.edit[]', doc: 'changes that went with it' },
      {
        name: 'notes',
        type: 'string[]',
        doc: 'what they do at the end of a message: `breaks d=example.com: h= covers Subject`',
      },
    ],
  },
  {
    kind: 'class',
    name: 'test.message',
    doc: 'A message to be sent',
    fields: [
      { name: 'headers', type: 'table|nil', doc: 'lines in order, or values by name' },
      { name: 'body', type: 'string|nil', doc: 'the body, lines with CRLF' },
    ],
  },
  {
    kind: 'class',
    name: 'test.edit',
    doc: 'A change to the message or its envelope',
    fields: [
      {
        name: 'kind',
        type: 'string',
        doc: '`add_header`, `insert_header`, `change_header`, `delete_header`, `add_rcpt`, `del_rcpt`, `set_sender`, `replace_body` or `quarantine`',
      },
      { name: 'name', type: 'string|nil', doc: 'header name' },
      { name: 'value', type: 'string|nil', doc: 'header value' },
      { name: 'index', type: 'integer|nil', doc: 'which header of that name, or where it is inserted' },
      { name: 'address', type: 'string|nil', doc: 'recipient or sender' },
      { name: 'params', type: 'string|nil', doc: 'ESMTP parameters' },
      { name: 'body', type: 'string|nil', doc: 'the new body' },
      { name: 'reason', type: 'string|nil', doc: 'why it is held' },
    ],
  },
  {
    kind: 'class',
    name: 'test.delivery',
    doc: 'A message on its way to its recipients',
    fields: [
      { name: 'action', type: 'string', doc: '`delivered` or `quarantined`' },
      { name: 'reason', type: 'string|nil', doc: 'why it is held' },
      { name: 'sender', type: 'string', doc: 'envelope sender' },
      { name: 'sender_params', type: 'string[]', doc: 'ESMTP parameters of the sender' },
      { name: 'recipients', type: 'string[]', doc: 'envelope recipients' },
      { name: 'headers', type: 'string[]', doc: 'lines in order' },
      { name: 'header', type: 'table', doc: 'the first value by name in lower case' },
      { name: 'body', type: 'string', doc: 'the body' },
    ],
  },
  {
    kind: 'class',
    name: 'test.call',
    doc: 'A callback as it went',
    fields: [
      { name: 'name', type: 'string', doc: 'as the policy spells it' },
      { name: 'where', type: 'string', doc: '`file:line` it returned from, or failed at' },
      { name: 'result', type: 'string', doc: '`continue`, `reply`, `accept` and so on' },
      { name: 'code', type: 'integer|nil', doc: 'code of a reply' },
      { name: 'text', type: 'string|nil', doc: 'its text' },
      { name: 'failure', type: 'string|nil', doc: 'what was wrong, when the callback failed' },
      { name: 'cpu_milliseconds', type: 'number', doc: 'CPU time that it used' },
      { name: 'wall_milliseconds', type: 'number', doc: 'from its beginning to its end, waiting included' },
    ],
  },
];

export const testChapter: Chapter = {
  title: 'Tests of policies',
  doc: "The library `test`, for files `*_test.lua` that `smtpf-milter test` runs. They have Lua's own libraries, `smtp.code` and this; the rest of the API is for policies.",
  onlyInTests: true,
  entries: [...FUNCTIONS, ...METHODS, ...CLASSES],
};
