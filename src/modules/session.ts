/**
 * What the functions of modules may know of the session that calls them: as the MTA has told it, whatever the script has
 * made of `smtp.sess` and `smtp.tran`.
 */
import type { LuaState } from 'fengari';
import type { Answer } from '../asking/answer.ts';
import { type Host, hostOf, PerState } from '../lua/engine/host.ts';

/** A message as it has arrived: headers, an empty line and the body, with CR LF. */
export interface KeptMessage {
  /** Of a file that is there until `smtp.do_dot` returns. */
  readonly path: string;
  /** The message itself, where no function of the script needs a file: there is none then. */
  readonly pieces?: readonly Buffer[] | undefined;
  /** In bytes. */
  readonly size: number;
}

/** Text is latin1. */
export interface SessionFacts {
  /** As `smtp.do_connect` gets it: an address, the path of a unix socket, `''` when unknown. */
  readonly ip: string;
  /** The client's name, where the MTA has verified it; `''` when it has not. */
  readonly ptr: string;
  readonly helo: string | undefined;
  /** The host name of the MTA, as it calls itself. */
  readonly mta: string;
  /** Who has logged in. */
  readonly user: string | undefined;
  /** Of the transaction; undefined outside of one. */
  readonly sender: string | undefined;
  /** The recipient that `smtp.do_rcpt` decides on; undefined in other callbacks. */
  readonly recipient: string | undefined;
  /** Those of the transaction that the policy has not refused so far. */
  readonly recipients: readonly string[];
  /** Of the transaction, once the MTA has told it. */
  readonly queueId: string | undefined;
  /** While `smtp.do_dot` runs; undefined in other callbacks. Unknown where no file could be written, or none was kept. */
  readonly message: Answer<KeptMessage> | undefined;
  /** Id of the transaction; undefined outside of one. */
  readonly transaction: string | undefined;
  /** What the sender has given the transaction for delivery notices, ENVID of RFC 3461. */
  readonly envelopeId: string | undefined;
}

/** Of a script that runs in no session: while it is checked. */
const NOBODY: SessionFacts = {
  ip: '',
  ptr: '',
  helo: undefined,
  mta: 'localhost',
  user: undefined,
  sender: undefined,
  recipient: undefined,
  recipients: [],
  queueId: undefined,
  message: undefined,
  transaction: undefined,
  envelopeId: undefined,
};

const facts = new PerState<SessionFacts>();

/** Says what is known of the session of `host`, now and later. */
export function bindFacts(host: Host, known: SessionFacts): void {
  facts.set(host, known);
}

export function factsOf(L: LuaState): SessionFacts {
  return facts.get(hostOf(L)) ?? NOBODY;
}
