/**
 * What Postfix and Sendmail say to an SMTP client in words of their own.
 *
 * Heard from Postfix 3.7 and Sendmail 8.17. Texts are latin1.
 */
import { type ClientReply, type MtaKind, plain } from './client-reply.ts';

/** Who is spoken to and of what. */
export interface Spoken {
  /** Name of the MTA's host. */
  readonly host: string;
  /** The client as the MTA shows it: `name [address]`, `[address]`. */
  readonly client: string;
}

/** `path` is an address with its angle brackets. */
export interface Wording {
  greeting(): ClientReply;
  /** The greeting of a client that the filter has refused. */
  refusingGreeting(): ClientReply;
  /** The greeting, and the end, where the filter has answered 421. */
  closingGreeting(): ClientReply;
  helo(): ClientReply;
  heloWithoutName(): ClientReply;
  readyForTls(): ClientReply;
  loggedIn(): ClientReply;
  senderTaken(path: string): ClientReply;
  recipientTaken(path: string): ClientReply;
  unknownParameter(param: string): ClientReply;
  nestedMail(): ClientReply;
  rcptWithoutMail(): ClientReply;
  dataWithoutMail(): ClientReply;
  dataWithoutRcpt(): ClientReply;
  goAhead(): ClientReply;
  messageTaken(queueId: string): ClientReply;
  reset(): ClientReply;
  noop(): ClientReply;
  /** To VRFY. */
  verified(address: string): ClientReply;
  syntax(command: 'MAIL' | 'RCPT'): ClientReply;
  unknownCommand(line: string): ClientReply;
  farewell(): ClientReply;
}

export function wordingOf(kind: MtaKind, spoken: Spoken): Wording {
  return kind === 'postfix' ? postfix(spoken) : sendmail(spoken);
}

function postfix({ host }: Spoken): Wording {
  return {
    greeting: () => plain(220, undefined, `${host} ESMTP Postfix`),
    refusingGreeting: () => plain(554, undefined, `${host} ESMTP not accepting connections`),
    closingGreeting: () => plain(421, undefined, `${host} Service unavailable - try again later`),
    helo: () => plain(250, undefined, host),
    heloWithoutName: () => plain(501, undefined, 'Syntax: HELO hostname'),
    readyForTls: () => plain(220, '2.0.0', 'Ready to start TLS'),
    loggedIn: () => plain(235, '2.7.0', 'Authentication successful'),
    senderTaken: () => plain(250, '2.1.0', 'Ok'),
    recipientTaken: () => plain(250, '2.1.5', 'Ok'),
    unknownParameter: (param) => plain(555, '5.5.4', `Unsupported option: ${param}`),
    nestedMail: () => plain(503, '5.5.1', 'Error: nested MAIL command'),
    rcptWithoutMail: () => plain(503, '5.5.1', 'Error: need MAIL command'),
    dataWithoutMail: () => plain(503, '5.5.1', 'Error: need RCPT command'),
    dataWithoutRcpt: () => plain(554, '5.5.1', 'Error: no valid recipients'),
    goAhead: () => plain(354, undefined, 'End data with <CR><LF>.<CR><LF>'),
    messageTaken: (queueId) => plain(250, '2.0.0', `Ok: queued as ${queueId}`),
    reset: () => plain(250, '2.0.0', 'Ok'),
    noop: () => plain(250, '2.0.0', 'Ok'),
    verified: (address) => plain(252, '2.0.0', address),
    syntax: (command) =>
      plain(501, '5.5.4', `Syntax: ${command === 'MAIL' ? 'MAIL FROM' : 'RCPT TO'}:<address>`),
    unknownCommand: () => plain(500, '5.5.2', 'Error: command not recognized'),
    farewell: () => plain(221, '2.0.0', 'Bye'),
  };
}

function sendmail({ host, client }: Spoken): Wording {
  return {
    greeting: () => plain(220, undefined, `${host} ESMTP Sendmail 8.17.1.9/8.17.1.9`),
    refusingGreeting: () => plain(554, undefined, `${host} ESMTP not accepting messages`),
    closingGreeting: () => plain(421, '4.7.0', `${host} closing connection`),
    helo: () => plain(250, undefined, `${host} Hello ${client}, pleased to meet you`),
    heloWithoutName: () => plain(501, '5.0.0', 'HELO requires domain address'),
    readyForTls: () => plain(220, '2.0.0', 'Ready to start TLS'),
    loggedIn: () => plain(235, '2.0.0', 'OK Authenticated'),
    senderTaken: (path) => plain(250, '2.1.0', `${path}... Sender ok`),
    recipientTaken: (path) => plain(250, '2.1.5', `${path}... Recipient ok`),
    unknownParameter: (param) => plain(555, '5.5.4', `${param.replace(/=.*/, '')} parameter unrecognized`),
    nestedMail: () => plain(503, '5.5.0', 'Sender already specified'),
    rcptWithoutMail: () => plain(503, '5.0.0', 'Need MAIL before RCPT'),
    dataWithoutMail: () => plain(503, '5.0.0', 'Need MAIL command'),
    dataWithoutRcpt: () => plain(503, '5.0.0', 'Need RCPT (recipient)'),
    goAhead: () => plain(354, undefined, 'End data with <CR><LF>.<CR><LF>'),
    messageTaken: (queueId) => plain(250, '2.0.0', `${queueId} Message accepted for delivery`),
    reset: () => plain(250, '2.0.0', 'Reset state'),
    noop: () => plain(250, '2.0.0', 'OK'),
    verified: () => plain(252, '2.5.2', 'Cannot VRFY user; try RCPT to attempt delivery (or try finger)'),
    syntax: () => plain(501, '5.5.2', 'Syntax error in parameters scanning ""'),
    unknownCommand: (line) => plain(500, '5.5.1', `Command unrecognized: "${line}"`),
    farewell: () => plain(221, '2.0.0', `${host} closing connection`),
  };
}
