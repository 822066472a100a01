/**
 * The seam between the milter session and whatever decides about mail.
 *
 * The session turns commands into events; a policy answers an event with a verdict, at once or by a promise. One
 * policy object serves one SMTP session. Nothing here knows of bytes on a socket, or of Lua.
 */
import type { BodyBytes } from './body-bytes.ts';
import type { ClientEndpoint } from './connect.ts';
import type { Modification, Reply, SymbolList } from './reply.ts';

/** Text is latin1. */
export type PolicyEvent =
  | { readonly kind: 'connect'; readonly hostname: string; readonly client: ClientEndpoint }
  | { readonly kind: 'helo'; readonly name: string }
  /**
   * `address` is the canonical mailbox that the MTA understands, `''` for the null sender; `written` is the path as the
   * client wrote it: what a modification must give back.
   */
  | {
      readonly kind: 'mail' | 'rcpt';
      readonly address: string;
      readonly written: string;
      readonly params: readonly string[];
    }
  | { readonly kind: 'data' }
  /** Whole header lines in message order, without final line end, folds as CRLF and white space. */
  | { readonly kind: 'headers'; readonly lines: readonly string[] }
  | { readonly kind: 'chunk'; readonly bytes: BodyBytes }
  | { readonly kind: 'endOfMessage' }
  | { readonly kind: 'unknown'; readonly line: string }
  /** The transaction has ended, whatever ended it. The verdict is ignored. */
  | { readonly kind: 'reset' }
  /** The SMTP session has ended. The verdict is ignored. */
  | { readonly kind: 'close' };

/**
 * `reply` lines are the script's text, not yet safe for the wire: reply-text.ts makes them so. `enhanced` is an
 * enhanced status code given apart from the text.
 * `skip`: no more events of this kind in this message.
 */
export type Verdict =
  | { readonly kind: 'continue'; readonly modifications?: readonly Modification[] }
  | { readonly kind: 'accept'; readonly modifications?: readonly Modification[] }
  | { readonly kind: 'discard' }
  | { readonly kind: 'skip' }
  /** A refusal for good or for now, in the MTA's own words. */
  | { readonly kind: 'reject' | 'tempfail' }
  | {
      readonly kind: 'reply';
      readonly code: number;
      readonly enhanced?: string;
      readonly lines: readonly string[];
    };

/** What a policy does with an event: never looks at it, needs its data only, or answers it. */
export type Interest = 'none' | 'data' | 'verdict';

/** What the MTA must be asked to send; fixed for the life of a milter connection. */
export interface Interests {
  readonly connect: Interest;
  readonly helo: Interest;
  readonly mail: Interest;
  readonly rcpt: Interest;
  readonly data: Interest;
  readonly headers: Interest;
  readonly body: Interest;
  readonly unknown: Interest;
  /** SMFIF_ bits of the modifications the policy may make. */
  readonly actions: number;
  /** Macros wanted beyond the MTA's default lists. */
  readonly symbols: readonly SymbolList[];
}

/** The macros the MTA has sent and that are still alive. */
export interface MacroReader {
  /** Value by name, given as `i`, `{i}`, `auth_type` or `{auth_type}`; undefined when the MTA sent none. */
  get(name: string): string | undefined;
}

export interface Policy {
  readonly interests: Interests;
  /** One event at a time: the next is given when the verdict of the one before is there. Never throws or rejects. */
  handle(event: PolicyEvent): Verdict | Promise<Verdict>;
  /** Is told what the MTA is answered: a bound of the protocol's side may have decided instead of the policy. */
  replied?(reply: Reply): void;
  /** Ends the event in progress, if any: its promise resolves soon, to whatever. */
  cancel(): void;
  /** Frees what the policy holds. No event follows. */
  dispose(): void;
}

/** What a policy is told about the session it serves. */
export interface SessionInfo {
  /** Our own id of the SMTP session, short and unique, in every log line. */
  readonly id: string;
  readonly macros: MacroReader;
  /** SMFIF_ bits the MTA granted; 0 before negotiation. */
  grantedActions(): number;
  /**
   * Whether a line of so many bytes about this session may be written to the log or the journal: a peer has no more
   * written than it sends, and a little besides. Absent: all may.
   */
  mayLog?(bytes: number): boolean;
  /** Bytes that are kept for the session by who asks: what was read from the MTA and not handled yet. Absent: none. */
  keptBytes?(): number;
}

export interface PolicyFactory {
  /** Never throws or rejects: what cannot be opened is a policy too, one that does what the operator configured. */
  open(session: SessionInfo): Policy | Promise<Policy>;
}
