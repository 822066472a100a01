/** What the supervisor and the launcher say to each other. */
import type { Identity } from '../system/privileges.ts';
import type { LaunchSettings } from './launch.ts';
import type { FromWorker, ToWorker } from './messages.ts';

export type ToLauncher =
  /** The first: whom to become, and how many sockets there are. */
  | { readonly kind: 'become'; readonly identity: Identity; readonly spool: string; readonly sockets: number }
  | { readonly kind: 'launch'; readonly id: number; readonly settings: LaunchSettings }
  | { readonly kind: 'pass'; readonly id: number; readonly message: ToWorker }
  | { readonly kind: 'kill'; readonly id: number };

export type FromLauncher =
  | { readonly kind: 'ready' }
  /** It cannot become who it should, or what it needs is closed to that user. */
  | { readonly kind: 'failed'; readonly message: string; readonly exitCode: number }
  | { readonly kind: 'launched'; readonly id: number; readonly pid: number | undefined }
  | { readonly kind: 'heard'; readonly id: number; readonly message: FromWorker }
  /** `error`: as the system gave it */
  | { readonly kind: 'unlaunched'; readonly id: number; readonly error: unknown }
  | {
      readonly kind: 'ended';
      readonly id: number;
      readonly code: number | null;
      readonly signal: string | null;
    };
