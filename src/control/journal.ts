/**
 * What was decided about messages, kept in a file of bounded size for `why`: one decision a line, as JSON.
 *
 * There are two files, NAME and NAME.1, each of half the size: when the first is full it takes the place of the second.
 * Each begins with a line that says how to read it. Addresses may be kept as digests: who knows an address finds it, and
 * nobody else reads it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { chmod, type FileHandle, open, rename } from 'node:fs/promises';
import { isIPv4, isIPv6 } from 'node:net';
import { createInterface } from 'node:readline';
import { jsonOf } from '../json-text.ts';
import { EXIT, OperatorError, systemReason } from '../operator-error.ts';
import type { Decision, RecipientDecision } from './decision.ts';

export interface JournalSettings {
  readonly path: string;
  /** Of both files together. */
  readonly maxBytes: number;
  readonly redact: boolean;
  /** Is told once what keeps the journal from being written. */
  readonly warn: (message: string) => void;
}

interface Head {
  readonly journal: 1;
  /** Of the digests; absent where addresses are kept as they are. */
  readonly salt?: string;
}

/** Lines are gathered this long. */
const FLUSH_MS = 100;
/** What waits for a slow disk; more is lost. */
const MAX_WAITING_BYTES = 4 << 20;
/** The newest that a search finds. */
const MAX_FOUND = 20;

export class Journal {
  readonly #settings: JournalSettings;
  #file: FileHandle;
  #head: Head;
  #bytes: number;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #isFailing = false;

  private constructor(settings: JournalSettings, file: FileHandle, head: Head, bytes: number) {
    this.#settings = settings;
    this.#file = file;
    this.#head = head;
    this.#bytes = bytes;
  }

  /** @throws OperatorError when it cannot be written. */
  static async open(settings: JournalSettings): Promise<Journal> {
    const { path, redact } = settings;
    try {
      const head = existsSync(path) ? await headOf(path) : undefined;
      if (head && (head.salt !== undefined) === redact) {
        const file = await open(path, 'a', 0o600);
        await file.chmod(0o600);
        return new Journal(settings, file, head, (await file.stat()).size);
      }
      if (existsSync(path)) {
        if (head === undefined) throw new OperatorError(`--journal ${path}: is not a journal`, EXIT.config);
        await rename(path, `${path}.1`);
      }
      const fresh = headFor(redact);
      const file = await open(path, 'ax', 0o600);
      const line = `${JSON.stringify(fresh)}\n`;
      await file.write(line);
      return new Journal(settings, file, fresh, line.length);
    } catch (error) {
      if (error instanceof OperatorError) throw error;
      throw new OperatorError(`--journal ${path}: ${systemReason(error)}`, EXIT.config);
    }
  }

  add(decision: Decision): void {
    if (this.#waitingBytes > MAX_WAITING_BYTES) return;
    const { salt } = this.#head;
    const line = `${jsonOf(salt === undefined ? decision : redacted(decision, salt))}\n`;
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
  async search(query: string): Promise<unknown[]> {
    await this.flush();
    return searchJournal(this.#settings.path, query);
  }

  async #write(): Promise<void> {
    const text = this.#waiting.join('');
    this.#waiting = [];
    this.#waitingBytes = 0;
    try {
      if (this.#bytes + text.length > this.#settings.maxBytes / 2) await this.#turn();
      await this.#file.write(text);
      this.#bytes += text.length;
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#settings.warn(`journal ${this.#settings.path}: ${systemReason(error)}`);
      this.#isFailing = true;
    }
  }

  /** Lines that wait have digests of the salt before: the new file keeps it. */
  async #turn(): Promise<void> {
    const { path } = this.#settings;
    await this.#file.close();
    await rename(path, `${path}.1`);
    await chmod(`${path}.1`, 0o600);
    this.#file = await open(path, 'ax', 0o600);
    const line = `${JSON.stringify(this.#head)}\n`;
    await this.#file.write(line);
    this.#bytes = line.length;
  }
}

/**
 * Decisions in the journal at `path` about a queue id, session or transaction id, or an address, the newest first.
 * @throws OperatorError when it cannot be read.
 */
export async function searchJournal(path: string, query: string): Promise<unknown[]> {
  const found: unknown[] = [];
  try {
    for (const file of [`${path}.1`, path]) {
      if (file !== path && !existsSync(file)) continue;
      let wanted: ReadonlySet<string> | undefined;
      for await (const line of createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: 0 })) {
        const entry = parsed(line);
        if (wanted === undefined) wanted = wantedIn(query, entry);
        else if (entry !== undefined && namesIn(entry).some((name) => wanted?.has(name))) {
          found.push(entry);
          if (found.length > MAX_FOUND) found.shift();
        }
      }
    }
  } catch (error) {
    throw new OperatorError(`journal ${path}: ${systemReason(error)}`, EXIT.unavailable);
  }
  return found.reverse();
}

function headFor(redact: boolean): Head {
  return redact ? { journal: 1, salt: randomBytes(16).toString('hex') } : { journal: 1 };
}

async function headOf(path: string): Promise<Head | undefined> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(256), 0, 256, 0);
    const [line = ''] = buffer.toString('latin1', 0, bytesRead).split('\n');
    const { journal, salt } = parsed(line) ?? {};
    if (journal !== 1) return undefined;
    return typeof salt === 'string' ? { journal, salt } : { journal };
  } finally {
    await file.close();
  }
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined; // A line that a crash has cut.
  }
}

/** What an entry is found by, in small letters. */
function namesIn(entry: Readonly<Record<string, unknown>>): string[] {
  const { queueId, session, transaction, sender, recipients } = entry;
  const addresses = Array.isArray(recipients)
    ? recipients.map((recipient: unknown) =>
        typeof recipient === 'object' && recipient !== null && 'address' in recipient
          ? recipient.address
          : '',
      )
    : [];
  return [queueId, session, transaction, sender, ...addresses].map((name) =>
    String(name ?? '').toLowerCase(),
  );
}

/** A query as it may stand in a file with this head. */
function wantedIn(query: string, head: Readonly<Record<string, unknown>> | undefined): ReadonlySet<string> {
  const plain = query.replace(/^<(.*)>$/, '$1').toLowerCase();
  const { salt } = head ?? {};
  return new Set(typeof salt === 'string' ? [plain, digestOf(plain, salt)] : [plain]);
}

function redacted(decision: Decision, salt: string): Decision {
  const { client, sender, recipients, text } = decision;
  return {
    ...decision,
    client: { ip: networkOf(client.ip), ptr: '' },
    ...(sender !== undefined && { sender: digestOf(sender, salt) }),
    recipients: recipients.map(({ address, refused }): RecipientDecision => {
      const digest = digestOf(address, salt);
      if (refused === undefined) return { address: digest };
      const words = refused.text === undefined ? {} : { text: withoutAddresses(refused.text) };
      return { address: digest, refused: { ...refused, ...words } };
    }),
    ...(text !== undefined && { text: withoutAddresses(text) }),
  };
}

/** The domain stays: it says where mail came from, and not from whom. */
function digestOf(address: string, salt: string): string {
  if (address === '') return '';
  const plain = address.toLowerCase();
  const at = plain.lastIndexOf('@');
  const digest = createHash('sha256').update(`${salt} ${plain}`, 'latin1').digest('hex').slice(0, 16);
  return at < 0 ? digest : `${digest}${plain.slice(at)}`;
}

function withoutAddresses(text: string): string {
  return text.replace(/[^\s<>@]+@/g, '...@');
}

/** /24 of IPv4, /48 of IPv6. */
function networkOf(ip: string): string {
  if (isIPv4(ip)) return ip.replace(/\d+$/, '0');
  if (!isIPv6(ip)) return '';
  const [head = ''] = ip.split('::');
  return `${head.split(':').slice(0, 3).join(':')}::`;
}
