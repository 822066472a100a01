/** Where addresses are and whose, by files of the MaxMind DB format, which are read again when they change. */
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { within } from '../asking/within.ts';
import type { MapLog } from '../maps/maps.ts';
import { WatchedFile } from '../maps/watched-file.ts';
import { Database } from './database.ts';

export type Question = 'country' | 'asn';

/** Two letters of ISO 3166; number and name of an autonomous system, the name in latin1. */
export type Place = string | { readonly number: number; readonly name: string };

/** The port by which policies ask where an address is. */
export interface Geo {
  /** What is known at once: undefined while a file is read for the first time. @param address in plain text */
  recall(question: Question, address: string): Answer<Place | null> | undefined;
  /** The same, when the files have been read. Never rejects. */
  query(question: Question, address: string, patience: Patience): Promise<Answer<Place | null>>;
}

/** How a file is, for those who look after the server. */
export interface GeoState {
  readonly path: string;
  /** `GeoLite2-Country`; undefined before it was read. */
  readonly type: string | undefined;
  /** Milliseconds since 1970. */
  readonly builtAt: number | undefined;
  readonly readAt: number | undefined;
  /** Why it does not serve as it is there; undefined where it does. */
  readonly problem: string | undefined;
}

/** A file that could not be read is looked at again after this. */
const RETRY_MS = 1000;

export class GeoFiles implements Geo {
  readonly #files: readonly GeoFile[];

  /** Reads nothing before it is asked. */
  constructor(paths: readonly string[], log: MapLog) {
    this.#files = paths.map((path) => new GeoFile(path, log));
  }

  recall(question: Question, address: string): Answer<Place | null> | undefined {
    if (this.#files.some((file) => file.mustBeRead)) return undefined;
    if (this.#files.length === 0) return unknown('unavailable', 'no --geo');
    let failure: Answer<never> | undefined;
    for (const { database, path, problem } of this.#files) {
      if (database === undefined) failure ??= unknown('unavailable', `geo file ${problem ?? path}`);
      else {
        try {
          const place = placeIn(database.find(address), question);
          if (place !== undefined) return known(place);
        } catch {
          failure ??= unknown('protocol', `geo file ${path} is damaged`);
        }
      }
    }
    // A file that could not be asked might have known.
    return failure ?? known(null);
  }

  async query(question: Question, address: string, patience: Patience): Promise<Answer<Place | null>> {
    const read = Promise.all(this.#files.map((file) => file.read())).then(
      () => this.recall(question, address) ?? unknown('unavailable', 'geo file: not read'),
    );
    return within(patience, 'geo file', read);
  }

  get states(): readonly GeoState[] {
    return this.#files.map(({ path, database, readAt, problem }) => ({
      path,
      type: database?.type,
      builtAt: database?.builtAt,
      readAt,
      problem,
    }));
  }
}

class GeoFile {
  readonly #file: WatchedFile<Database>;
  readonly #log: MapLog;
  #reading: Promise<void> | undefined;
  /** Why it could not be read the first time, and until when that is not tried again. */
  #failure: { readonly problem: string; readonly until: number } | undefined;

  constructor(path: string, log: MapLog) {
    this.#log = log;
    this.#file = new WatchedFile(path, Buffer.from(path), Database.read, ({ at, problem }) => {
      if (problem === undefined) log.notice(`geo file ${at} read again`);
      else log.warning(`geo file ${at} is not taken, the version before it serves: ${problem}`);
    });
  }

  get path(): string {
    return this.#file.path;
  }

  get database(): Database | undefined {
    return this.#file.content;
  }

  get readAt(): number | undefined {
    return this.#file.readAt;
  }

  get problem(): string | undefined {
    return this.#file.problem ?? (this.database === undefined ? this.#failure?.problem : undefined);
  }

  get mustBeRead(): boolean {
    return (
      this.database === undefined && !(this.#failure !== undefined && performance.now() < this.#failure.until)
    );
  }

  /** Reads it the first time; once for all who wait for it. */
  async read(): Promise<void> {
    if (!this.mustBeRead) return;
    this.#reading ??= this.#load().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  async #load(): Promise<void> {
    try {
      await this.#file.load();
      if (this.#failure !== undefined) this.#log.notice(`geo file ${this.path} read`);
      this.#failure = undefined;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (problem !== this.#failure?.problem) this.#log.warning(`geo file ${problem}`);
      this.#failure = { problem, until: performance.now() + RETRY_MS };
    }
  }
}

type Fields = { readonly [name: string]: unknown };

/** What a record says, in the names of MaxMind and DB-IP or in those of IPinfo; undefined for nothing. */
function placeIn(record: unknown, question: Question): Place | undefined {
  const fields = fieldsOf(record);
  if (question === 'country') {
    const code = fieldsOf(fields['country'])['iso_code'] ?? fields['country_code'] ?? fields['country'];
    return typeof code === 'string' && /^[A-Za-z]{2}$/.test(code) ? code.toUpperCase() : undefined;
  }
  const number = fields['autonomous_system_number'] ?? fields['asn'];
  const digits = /^(?:AS)?(\d{1,10})$/i.exec(String(number))?.[1];
  if (digits === undefined) return undefined;
  const name = fields['autonomous_system_organization'] ?? fields['as_name'];
  return {
    number: Number(digits),
    name: typeof name === 'string' ? Buffer.from(name).toString('latin1') : '',
  };
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
