/** The callbacks of a policy, in the order of an SMTP session. */
import type { Callback, Chapter } from '../entry.ts';

const PARAMS_DOC =
  'ESMTP parameters as sent, `params[1] == "SIZE=1000"`, and each value by its name in upper case, `params.SIZE == "1000"`';

const ENTRIES = [
  {
    kind: 'callback',
    name: 'smtp.do_connect',
    alias: 'smtp.connect',
    answers: true,
    params: [
      {
        name: 'ip',
        type: 'string',
        doc: 'the client’s address in plain text, `192.0.2.7` or `2001:db8::1`; the path of a unix socket; `""` when unknown',
      },
      {
        name: 'ptr',
        type: 'string',
        doc: 'its name as the MTA has verified it, `""` when it has none',
        blank: 'a client without a verified name',
      },
    ],
    doc: 'An SMTP client has connected. The result holds for the whole SMTP session.',
    mta: 'Postfix shows a 5yz code as greeting `554 ... not accepting connections`, and the text at MAIL; a 4yz code and its text show at MAIL. Sendmail loses the text: the client gets `554 ... not accepting messages` and `550 5.0.0 Command rejected`, or `451 4.3.2 Please try again later` at MAIL. 421 closes the connection at both, with a text of their own.',
  },
  {
    kind: 'callback',
    name: 'smtp.do_helo',
    alias: 'smtp.helo',
    answers: true,
    params: [
      { name: 'helo_arg', type: 'string', doc: 'the argument of HELO or EHLO, as the client wrote it' },
    ],
    doc: 'The client has said HELO or EHLO; again after STARTTLS, or whenever it says so again. It ends a transaction in progress first (`smtp.rset`).',
    mta: 'Both answer the HELO itself with 250 and give the reply to the commands that follow; they give 421 at once.',
  },
  {
    kind: 'callback',
    name: 'smtp.do_mail',
    alias: 'smtp.mail',
    answers: true,
    params: [
      {
        name: 'sender',
        type: 'string',
        doc: 'canonical mailbox of MAIL FROM (see `smtp.do_rcpt`), `""` for the null sender',
        blank: 'the null sender',
      },
      { name: 'params', type: 'smtp.params', doc: PARAMS_DOC },
    ],
    doc: 'A transaction begins.',
    mta: 'Sendmail puts `<address>... ` before the text of codes 450, 550 and 553, here and at RCPT.',
  },
  {
    kind: 'callback',
    name: 'smtp.do_rcpt',
    alias: 'smtp.rcpt',
    answers: true,
    params: [
      {
        name: 'recipient',
        type: 'string',
        doc: 'canonical mailbox of RCPT TO',
      },
      { name: 'params', type: 'smtp.params', doc: PARAMS_DOC },
    ],
    doc: 'One recipient. A 4yz or 5yz reply refuses this recipient alone; `smtp.code.accept` and `smtp.code.discard` decide the whole message.\n\nAn address comes in one form, however the client spelt it: `user@example.com` for `< "user" @Example.com.(x)>` as for `<@relay.example:user@example.com>`. It has no needless quotes and backslashes, no comments, blanks, groups and source routes. The domain is in lower case, without final dot; the local part has the client’s case. Where the MTA reads more out of an address, such as `user%example.com@mx.example` or `example.com!user`, or puts its own domain to a bare `user`, the address is what the MTA understands (its macros `{rcpt_addr}` and `{mail_addr}` tell). What the client wrote is `raw` in `smtp.tran.rcpts`, and `smtp.tran.raw_sender`.\n\nIt is the address that the client named. Addresses that the MTA’s configuration leads to the same place are other addresses here: extensions (`user+x@`), aliases, virtual users, further domains that are local to the MTA, its own address in brackets (`user@[192.0.2.1]`). A rule has to name them; Sendmail gives mail for all its local domains to the same user.',
  },
  {
    kind: 'callback',
    name: 'smtp.do_data',
    alias: 'smtp.data',
    answers: true,
    params: [],
    doc: 'The client has said DATA (or BDAT). An MTA whose milter protocol is older than version 4 does not tell of it: the callback comes with the first header.',
  },
  {
    kind: 'callback',
    name: 'smtp.do_headers',
    alias: 'smtp.headers',
    answers: true,
    params: [
      {
        name: 'headers',
        type: 'string[]',
        doc: 'header lines in message order, byte for byte as the client sent them, without final line end, folds as CRLF and white space',
        byName: 'header.get',
      },
    ],
    doc: 'The headers are complete; the callback gets all of them at once. The client learns of a reply at the end of its message, as both MTAs receive all of it before.',
    mta: 'The Received header that the MTA adds is not among them. Postfix shows Message-Id, Date and From that it has added to a message without any; Sendmail does not.',
  },
  {
    kind: 'callback',
    name: 'smtp.do_chunk',
    alias: 'smtp.chunk',
    answers: true,
    params: [
      { name: 'chunk', type: 'string', doc: 'bytes of the body, at most 65535; cut anywhere' },
      { name: 'size', type: 'integer', doc: 'their number' },
    ],
    doc: 'A piece of the body, in order. `smtp.code.skip` says that no more are wanted. The client gets a reply at the end of the message.',
  },
  {
    kind: 'callback',
    name: 'smtp.do_dot',
    alias: 'smtp.dot',
    answers: true,
    params: [
      {
        name: 'path',
        type: 'string',
        doc: 'a file with the headers, an empty line and the body, as received, with CRLF; gone after the callback',
      },
    ],
    doc: 'The message is complete. The milter writes the file only for a function that uses `path`: one that never mentions its parameter, or has none, costs no disk.',
  },
  {
    kind: 'callback',
    name: 'smtp.do_unknown',
    alias: 'smtp.unknown',
    answers: true,
    params: [{ name: 'line', type: 'string', doc: 'the command line; Postfix gives its first word only' }],
    doc: 'A command that the MTA does not know. The MTA refuses it anyway; a reply changes the error.',
  },
  {
    kind: 'callback',
    name: 'smtp.rset',
    alias: 'smtp.do_rset',
    answers: false,
    params: [],
    doc: 'A transaction has ended, whatever ended it: once for each MAIL. `smtp.tran` is still readable inside.',
  },
  {
    kind: 'callback',
    name: 'smtp.close',
    alias: 'smtp.do_close',
    answers: false,
    params: [],
    doc: 'The SMTP session has ended, in whatever way; it is called once. A peer that only connects or negotiates, as a health check does, has had no session: nothing is called, counted or logged. (To negotiate, the milter must know what the script defines: a main chunk that logs, or does other things that are not the same each time, runs for it.)',
  },
] as const satisfies readonly Callback[];

/** In the order of an SMTP session. */
export const CALLBACKS: readonly Callback[] = ENTRIES;

type Short<Name extends string> = Name extends `smtp.do_${infer Rest}`
  ? Rest
  : Name extends `smtp.${infer Rest}`
    ? Rest
    : never;

/** A callback's name without `smtp.` and `do_`. */
export type CallbackName = Short<(typeof ENTRIES)[number]['name']>;

export const callbacksChapter: Chapter = {
  title: 'Callbacks',
  doc: 'Functions that the script defines. The milter does not even ask the MTA to tell of an event whose callback is absent: so a callback must be there, in the table `smtp` itself, when the main chunk ends. The milter does not see one that a metatable supplies (`__index`), and may never call one that another callback defines first. A callback returns nothing, nil, 0 or a 2yz code to go on, or a 4yz or 5yz code and a text to refuse. Where these names are absent, the milter takes those of smtpf’s own code (`smtp.rcpt` for `smtp.do_rcpt`).',
  entries: CALLBACKS,
};
