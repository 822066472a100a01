/** The callbacks of a policy, in the order of an SMTP session. */
import type { Callback, Chapter } from './entry.ts';

const PARAMS_DOC =
  'ESMTP parameters as sent, `params[1] == "SIZE=1000"`, and each value by its name in upper case, `params.SIZE == "1000"`';

export const CALLBACKS: readonly Callback[] = [
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
      { name: 'ptr', type: 'string', doc: 'its name as the MTA has verified it, `""` when it has none' },
    ],
    doc: 'An SMTP client has connected. What it returns holds for the whole SMTP session.',
    mta: 'Postfix: a 5yz code shows as greeting `554 ... not accepting connections`, and the text at MAIL; a 4yz code and its text show at MAIL. Sendmail: the text is lost, the client gets `554 ... not accepting messages` and `550 5.0.0 Command rejected`, or `451 4.3.2 Please try again later` at MAIL. 421 closes the connection at both, with their own text.',
  },
  {
    kind: 'callback',
    name: 'smtp.do_helo',
    alias: 'smtp.helo',
    answers: true,
    params: [
      { name: 'helo_arg', type: 'string', doc: 'the argument of HELO or EHLO, as the client wrote it' },
    ],
    doc: 'The client has said HELO or EHLO; again after STARTTLS, or whenever it says so again. A transaction in progress has ended before (`smtp.rset`).',
    mta: 'Both answer the HELO itself with 250 and give the reply to the commands that follow; 421 is given at once.',
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
        doc: 'address of MAIL FROM without angle brackets and source route, `""` for the null sender',
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
        doc: 'address of RCPT TO without angle brackets and source route',
      },
      { name: 'params', type: 'smtp.params', doc: PARAMS_DOC },
    ],
    doc: 'One recipient. A 4yz or 5yz reply refuses this recipient alone; `smtp.code.accept` and `smtp.code.discard` decide the whole message.',
  },
  {
    kind: 'callback',
    name: 'smtp.do_data',
    alias: 'smtp.data',
    answers: true,
    params: [],
    doc: 'The client has said DATA (or BDAT). With an MTA whose milter protocol is older than version 4 it comes with the first header.',
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
      },
    ],
    doc: 'The headers are complete, all of them at once. The client learns of a reply at the end of its message: both MTAs have received all of it before.',
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
    doc: 'A piece of the body, in order. `smtp.code.skip` says that no more are wanted. A reply is given to the client at the end of the message.',
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
    doc: 'The message is complete. The file is written only for a function that makes use of `path`: one that never mentions its parameter, or has none, costs no disk.',
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
    doc: 'The SMTP session has ended, in whatever way: called once.',
  },
];

export const callbacksChapter: Chapter = {
  title: 'Callbacks',
  doc: 'Functions that the script defines. One that is absent is skipped, and the MTA is not even asked to tell of its event: so a callback must be there, in the table `smtp` itself, when the main chunk ends. One that a metatable supplies (`__index`) is not seen, and one that another callback defines first may never be called. A callback returns nothing, nil, 0 or a 2yz code to go on, or a 4yz or 5yz code and a text to refuse. The names of smtpf’s own code (`smtp.rcpt` for `smtp.do_rcpt`) are used where the others are absent.',
  entries: CALLBACKS,
};
