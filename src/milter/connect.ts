/**
 * SMFIC_CONNECT: who is at the other end of the SMTP session.
 */
/** Text is latin1. `port` is 0 when the MTA does not know it. */
export type ClientEndpoint =
  | { readonly family: 'unknown' }
  | { readonly family: 'unix'; readonly path: string }
  | { readonly family: 'inet4' | 'inet6'; readonly address: string; readonly port: number };

export interface ConnectCommand {
  readonly kind: 'connect';
  /** The client's verified name; its address in brackets when it has none. */
  readonly hostname: string;
  readonly client: ClientEndpoint;
}
