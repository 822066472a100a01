/** Replays sessions one after the other in this process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeSigningKey, readSigningKey, type SigningKey } from '../mail-auth/signing-key.ts';
import type { Options } from '../options/option-table.ts';
import { readSession, type SessionPlace } from '../recording/session-file.ts';
import { read } from './commands.ts';
import { type Finding, findingOf } from './differences.ts';
import { PolicyPlayer } from './player.ts';
import { recordedSteps } from './steps.ts';

export interface ReplaySettings {
  /** With the policy as its script. */
  readonly options: Options;
  /** The policy that it is compared with; undefined: with what was answered then. */
  readonly against: Options | undefined;
  /** Private keys in PEM form. */
  readonly keys: { readonly rsa: string; readonly ed25519: string };
}

/** What came of one place: a finding, or why it cannot be read. */
export type Replayed = Finding | { readonly problem: string };

/** Keys for a replay: as long as no private key is in a recording, any will do. */
export function newKeys(): ReplaySettings['keys'] {
  return { rsa: makeSigningKey('rsa').pem, ed25519: makeSigningKey('ed25519').pem };
}

export class SessionReplay {
  readonly #spool = mkdtempSync(join(tmpdir(), 'smtpf-milter-replay-'));
  readonly #policy: PolicyPlayer;
  readonly #against: PolicyPlayer | undefined;

  constructor({ options, against, keys }: ReplaySettings) {
    const standIns = { rsa: keyIn(keys.rsa), ed25519: keyIn(keys.ed25519) };
    const player = (its: Options) => new PolicyPlayer(its, this.#spool, standIns);
    this.#policy = player(options);
    this.#against = against && player(against);
  }

  /** What keeps a policy from running. */
  async problem(): Promise<string | undefined> {
    return (await this.#policy.problem()) ?? (await this.#against?.problem());
  }

  async replay(place: SessionPlace): Promise<Replayed> {
    try {
      const session = read(readSession(place));
      const before = this.#against ? (await this.#against.play(session)).steps : recordedSteps(session);
      return findingOf(session, before, await this.#policy.play(session));
    } catch (error) {
      return { problem: `${place.path}: ${error instanceof Error ? error.message : String(error)}` };
    }
  }

  close(): void {
    rmSync(this.#spool, { recursive: true, force: true });
  }
}

function keyIn(pem: string): SigningKey {
  const key = readSigningKey(pem);
  if ('wrong' in key) throw new Error(key.wrong);
  return key;
}
