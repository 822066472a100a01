/**
 * The world around a policy under test: its DNS, clock, environment and files. Nothing of it outlives the case.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, isAbsolute, join, normalize } from 'node:path';
import { Zone } from '../dns/zone.ts';

export class World {
  readonly zone: Zone;
  /** Variables that os.getenv knows; no others are set. */
  readonly environment: Map<string, string>;
  /** Contents in latin1 by name; absolute names stand for the files of the system that the policy asks for. */
  readonly #files: Map<string, string>;
  /** Seconds since the epoch at which the clock stands; undefined: it runs as the system's. */
  #stopped: number | undefined;
  /** Seconds that a running clock is ahead of the system's. */
  #ahead = 0;
  #troubles: { readonly names: RegExp; readonly at: 'open' | 'read' }[] = [];
  #directory: string | undefined;

  constructor(
    zone: Zone = new Zone(),
    environment: Map<string, string> = new Map(),
    files: Map<string, string> = new Map(),
  ) {
    this.zone = zone;
    this.environment = environment;
    this.#files = files;
  }

  /** A world of its own that is like this one now. */
  copy(): World {
    const copy = new World(this.zone.copy(), new Map(this.environment), new Map(this.#files));
    copy.#stopped = this.#stopped;
    copy.#ahead = this.#ahead;
    copy.#troubles = [...this.#troubles];
    for (const [name, content] of this.#files) copy.#write(name, content);
    return copy;
  }

  /** Seconds since the epoch, with a fraction. */
  now(): number {
    return this.#stopped ?? Date.now() / 1000 + this.#ahead;
  }

  /** Stops the clock at `time`, in seconds since the epoch. */
  stopClock(time: number): void {
    this.#stopped = time;
  }

  advance(seconds: number): void {
    if (this.#stopped === undefined) this.#ahead += seconds;
    else this.#stopped += seconds;
  }

  /**
   * Writes a file into the scratch directory. The policy, and the test, that ask for `name` get this one.
   * @param name latin1; relative to the scratch directory, or absolute
   * @param content latin1
   * @returns where it is
   */
  writeFile(name: string, content: string): string {
    this.#files.set(name, content);
    return this.#write(name, content);
  }

  /** Where the file is that the name means: elsewhere only if it is one of this world. */
  locate(name: string): string {
    if (this.#files.has(name)) return this.#place(name);
    const trouble = this.#troubles.findLast(({ names }) => names.test(name));
    if (trouble === undefined) return name;
    const stand = join(this.directory(), `cannot-${trouble.at}`);
    if (trouble.at === 'read') mkdirSync(stand, { recursive: true });
    return stand;
  }

  /**
   * Makes files fail to open, or to be read: a missing file, or a directory, stands in their place.
   * @param wildcard latin1; `*` stands for anything
   */
  spoil(wildcard: string, at: 'open' | 'read'): void {
    const names = wildcard.split('*').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
    this.#troubles.push({ names: new RegExp(`^${names.join('.*')}$`, 's'), at });
  }

  /** The scratch directory. */
  directory(): string {
    this.#directory ??= mkdtempSync(join(tmpdir(), 'smtpf-milter-test-'));
    return this.#directory;
  }

  /** Removes the scratch directory. */
  end(): void {
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
    this.#directory = undefined;
  }

  #write(name: string, content: string): string {
    const place = this.#place(name);
    mkdirSync(Buffer.from(dirname(place), 'latin1'), { recursive: true });
    writeFileSync(Buffer.from(place, 'latin1'), content, 'latin1');
    return place;
  }

  /** latin1, as Lua has it; the scratch directory's own name is ASCII in any sane system. */
  #place(name: string): string {
    if (isAbsolute(name)) return join(this.directory(), 'root', name);
    const inside = normalize(name);
    return join(this.directory(), inside.startsWith('..') ? basename(inside) : inside);
  }
}
