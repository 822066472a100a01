/**
 * What was decided about messages, kept in a file of bounded size for `why`: one decision a line, as JSON.
 *
 * There are two files, NAME and NAME.1, each of half the size: when the first is full it takes the place of the second.
 * Each begins with a line that says how to read it. Addresses may be kept as digests: who knows an address, and may read
 * the key (NAME.key, or wherever --journal-key says), finds it; a journal without its key tells nobody's, not even to who
 * tries all names of a dictionary.
 */
import { closeSync, constants, existsSync, readSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { openRegular } from '../system/regular-file.ts';
import { asciiJson, jsonOf } from '../text/json-text.ts';
import { EXIT, OperatorError, systemReason } from '../text/operator-error.ts';
import type { Decision } from './decision.ts';
import { type Key, keyFor, notWritten, redacted } from './journal-key.ts';
import type { JournalQuery } from './journal-query.ts';
import { parsedLine, searchJournal } from './journal-search.ts';

export interface JournalSettings {
  readonly path: string;
  /** Of both files together. */
  readonly maxBytes: number;
  readonly redact: boolean;
  /** File with the key of the digests, made where it is not there; `PATH.key` without it. */
  readonly keyPath?: string | undefined;
  /** Is told once what keeps the journal from being written. */
  readonly warn: (message: string) => void;
}

interface Head {
  readonly journal: 1;
  /** Which key the digests are made with; absent where addresses are kept as they are. */
  readonly key?: string;
}

/** What has come to be a FIFO since it was looked at is not waited for. */
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK;

/** Lines are gathered this long. */
const FLUSH_MS = 100;
/** What waits for a slow disk; more is lost. */
const MAX_WAITING_BYTES = 4 << 20;

export class Journal {
  readonly #settings: JournalSettings;
  #file: FileHandle;
  #head: Head;
  readonly #key: Key | undefined;
  #bytes: number;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #isFailing = false;

  private constructor(
    settings: JournalSettings,
    file: FileHandle,
    head: Head,
    key: Key | undefined,
    bytes: number,
  ) {
    this.#settings = settings;
    this.#file = file;
    this.#head = head;
    this.#key = key;
    this.#bytes = bytes;
  }

  /** @throws OperatorError when it cannot be written. */
  static async open(settings: JournalSettings): Promise<Journal> {
    const { path, redact } = settings;
    try {
      const key = redact ? keyFor(settings) : undefined;
      const head = existsSync(path) ? headOf(path) : undefined;
      if (head && head.key === key?.id) {
        const file = await open(path, APPEND, 0o600);
        await file.chmod(0o600);
        return new Journal(settings, file, head, key, (await file.stat()).size);
      }
      if (existsSync(path)) {
        if (head === undefined) throw new OperatorError(`--journal ${path}: is not a journal`, EXIT.config);
        await rename(path, `${path}.1`);
      }
      const fresh: Head = key === undefined ? { journal: 1 } : { journal: 1, key: key.id };
      const file = await open(path, 'ax', 0o600);
      const line = `${asciiJson(fresh)}\n`;
      await file.write(line);
      return new Journal(settings, file, fresh, key, line.length);
    } catch (error) {
      if (error instanceof OperatorError) throw error;
      throw notWritten('--journal', path, error);
    }
  }

  add(decision: Decision): void {
    if (this.#waitingBytes > MAX_WAITING_BYTES) return;
    const line = `${jsonOf(this.#key === undefined ? decision : redacted(decision, this.#key))}\n`;
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS).unref();
  }

  /** Writes what was added so far. Never rejects. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#writing) await this.#writing;
    if (this.#waiting.length === 0) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#file.close().catch(() => {});
  }

  /** The newest decisions about what is asked for, the newest first; see `searchJournal`. */
  async search(query: JournalQuery): Promise<unknown[]> {
    await this.flush();
    return searchJournal(this.#settings.path, query, this.#settings.keyPath);
  }

  async #write(): Promise<void> {
    const text = this.#waiting.join('');
    this.#waiting = [];
    this.#waitingBytes = 0;
    try {
      if (this.#bytes + text.length > this.#settings.maxBytes / 2) await this.#rotate();
      await this.#file.write(text);
      this.#bytes += text.length;
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#settings.warn(`journal ${this.#settings.path}: ${systemReason(error)}`);
      this.#isFailing = true;
    }
  }

  async #rotate(): Promise<void> {
    const { path } = this.#settings;
    await this.#file.close();
    await rename(path, `${path}.1`);
    this.#file = await open(path, 'ax', 0o600);
    const line = `${JSON.stringify(this.#head)}\n`;
    await this.#file.write(line);
    this.#bytes = line.length;
  }
}

/** Undefined where it is no journal. */
function headOf(path: string): Head | undefined {
  const descriptor = openRegular(path);
  try {
    const buffer = Buffer.alloc(256);
    const [line = ''] = buffer.toString('latin1', 0, readSync(descriptor, buffer)).split('\n');
    const { journal, key } = parsedLine(line) ?? {};
    if (journal !== 1) return undefined;
    return typeof key === 'string' ? { journal, key } : { journal };
  } finally {
    closeSync(descriptor);
  }
}
