/**
 * Everything an MTA can say to a filter.
 *
 * Text is latin1: one character per wire byte. Body bytes are Buffers that may be views of a network buffer:
 * whoever keeps them beyond the handling of the command copies them.
 */
import type { BodyBytes } from './body-bytes.ts';
import type { ConnectCommand } from './connect.ts';

/** SMFIC_OPTNEG: what the MTA can do. `actions` are SMFIF_ bits, `protocol` SMFIP_ bits, both unsigned. */
export interface NegotiateCommand {
  readonly kind: 'negotiate';
  readonly version: number;
  readonly actions: number;
  readonly protocol: number;
}

/** SMFIC_MACRO: macros of the command named by `stage`, its command byte (`C`, `H`, `M`, ... any). */
export interface MacroCommand {
  readonly kind: 'macro';
  readonly stage: number;
  /** As on the wire, name NUL value NUL name NUL value; most are never looked at. See macroPairs(). */
  readonly text: string;
  /** Set when a value is missing: what belongs to what cannot be told, so `text` is empty and the packet is ignored. */
  readonly malformed?: true;
}

/** SMFIC_MAIL and SMFIC_RCPT: the address as the SMTP client wrote it, then its ESMTP parameters. */
export interface EnvelopeCommand {
  readonly kind: 'mail' | 'rcpt';
  readonly address: string;
  readonly params: readonly string[];
}

export type Command =
  | NegotiateCommand
  | MacroCommand
  | ConnectCommand
  | { readonly kind: 'helo'; readonly name: string }
  | EnvelopeCommand
  | { readonly kind: 'data' }
  /** `value` has its folds as the MTA sent them: LF and white space. */
  | { readonly kind: 'header'; readonly name: string; readonly value: string }
  | { readonly kind: 'endOfHeaders' }
  | { readonly kind: 'body'; readonly bytes: BodyBytes }
  /** `bytes` is empty with every MTA seen, but the protocol allows a last chunk of the body here. */
  | { readonly kind: 'endOfMessage'; readonly bytes: BodyBytes }
  /** SMFIC_UNKNOWN: an SMTP command line that the MTA does not know (Postfix: its first word). */
  | { readonly kind: 'unknown'; readonly line: string }
  | { readonly kind: 'abort' }
  | { readonly kind: 'quit' }
  /** SMFIC_QUIT_NC: the SMTP session is over, the next one follows on this connection. */
  | { readonly kind: 'quitNewConnection' };
