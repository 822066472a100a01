/** `--record`: sessions on tape become files. */
import type { Redaction } from '../options/option-table.ts';
import type { RecordedSession, TapedSession } from './recorded-session.ts';
import { redacted } from './redaction.ts';
import { blockOf } from './session-file.ts';
import { SessionStore, type SessionStoreSettings } from './session-store.ts';
import type { TapeTaker } from './tapes.ts';

export interface RecorderSettings extends SessionStoreSettings {
  /** Share of the connections that are recorded, from 0 to 1. */
  readonly sample: number;
  readonly redact: readonly Redaction[];
}

/** Ended sessions that wait to be packed; more are lost. */
const MAX_PACKING_BYTES = 32 << 20;
/** More than what stands around a session in its file. */
const FILE_HEAD_BYTES = 1024;

export class Recorder implements TapeTaker {
  readonly #settings: RecorderSettings;
  readonly #store: SessionStore;
  #packing = new Set<Promise<void>>();
  #packingBytes = 0;
  #lost = 0;

  constructor(settings: RecorderSettings) {
    this.#settings = settings;
    this.#store = new SessionStore(settings);
  }

  wants(): boolean {
    const { sample } = this.#settings;
    if (sample < 1 && Math.random() >= sample) return false;
    if (this.#store.takes) return true;
    this.#lost += 1;
    return false;
  }

  /** What has become of the sessions that were to be kept. */
  get status() {
    const { counts, problem } = this.#store;
    const { directory } = this.#settings;
    return { directory, kept: counts.kept, lost: counts.lost + this.#lost, problem };
  }

  take({ id, began, script, entries }: TapedSession): void {
    const bytes =
      entries?.reduce((sum, entry) => sum + (entry[0] === 'command' ? entry[1].length : 64), 0) ?? 0;
    const fits = bytes <= this.#store.fileBytes - FILE_HEAD_BYTES;
    const hasRoom = this.#store.takes && this.#packingBytes + bytes <= MAX_PACKING_BYTES;
    if (entries === undefined || !fits || !hasRoom) {
      this.#lost += 1;
      return;
    }
    this.#packingBytes += bytes;
    const packed = this.#pack({ id, began, script, redacted: this.#settings.redact, entries }).finally(() => {
      this.#packingBytes -= bytes;
      this.#packing.delete(packed);
    });
    this.#packing.add(packed);
  }

  /** Writes what has ended. Never rejects. */
  async close(): Promise<void> {
    await Promise.all(this.#packing);
    await this.#store.close();
  }

  async #pack(session: RecordedSession): Promise<void> {
    const entries = await redacted(session.entries, session.redacted);
    this.#store.add(await blockOf({ ...session, entries }));
  }
}
