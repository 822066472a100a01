/**
 * Everything a filter can say to an MTA: final replies, and the modifications that may precede the one at end of
 * message. Text is latin1.
 */

/** A reply that ends the MTA's wait. `replyCode` lines are ready for the wire: see reply-text.ts. */
export type Reply =
  | { readonly kind: 'continue' }
  | { readonly kind: 'accept' }
  | { readonly kind: 'reject' }
  | { readonly kind: 'tempfail' }
  | { readonly kind: 'discard' }
  | { readonly kind: 'skip' }
  | { readonly kind: 'progress' }
  | { readonly kind: 'replyCode'; readonly text: string }
  | {
      readonly kind: 'negotiate';
      readonly version: number;
      readonly actions: number;
      readonly protocol: number;
      readonly symbols: readonly SymbolList[];
    };

/** Macros asked for at one stage, names as in sendmail.cf: `i`, `{auth_type}`. */
export interface SymbolList {
  readonly stage: 'connect' | 'helo' | 'mail' | 'rcpt' | 'data' | 'endOfMessage' | 'endOfHeaders';
  readonly names: readonly string[];
}

/**
 * A change to the message, sent between SMFIC_BODYEOB and the final reply.
 *
 * A header's `value` is everything after the colon, the leading space included, with folds as LF and white space; an
 * empty header is ' '. The session takes the space off for MTAs that put one there themselves.
 * `params` is one string of ESMTP parameters with spaces between, or undefined.
 */
export type Modification =
  | { readonly kind: 'addRecipient'; readonly address: string; readonly params?: string | undefined }
  /** `address` is what the client gave with RCPT, byte for byte: the MTAs compare with that. */
  | { readonly kind: 'deleteRecipient'; readonly address: string }
  | { readonly kind: 'changeSender'; readonly address: string; readonly params?: string | undefined }
  | { readonly kind: 'addHeader'; readonly name: string; readonly value: string }
  | { readonly kind: 'insertHeader'; readonly index: number; readonly name: string; readonly value: string }
  /** `index` is 1-based among the headers of that name; an empty `value` deletes. */
  | { readonly kind: 'changeHeader'; readonly index: number; readonly name: string; readonly value: string }
  | { readonly kind: 'replaceBody'; readonly bytes: Buffer }
  | { readonly kind: 'quarantine'; readonly reason: string };
