/**
 * The world around a policy under test: its DNS, clock, environment and files. Nothing of it outlives the case.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, isAbsolute, join, normalize } from 'node:path';
import type { Surroundings } from '../lua/engine/surroundings.ts';
import type { Fake, StandIn } from '../modules/fake.ts';
import { FAKES } from '../modules/modules.ts';
import type { Clock } from '../services/clock.ts';
import type { Services } from '../services/services.ts';

export class World implements Clock, Surroundings {
  /** Variables that os.getenv knows; no others are set. */
  readonly environment: Map<string, string>;
  /** Contents in latin1 by name; absolute names stand for the files of the system that the policy asks for. */
  readonly #files: Map<string, string>;
  /** Seconds since the epoch at which the clock stands; undefined: it runs as the system's. */
  #stopped: number | undefined;
  /** Seconds that a running clock is ahead of the system's. */
  #ahead = 0;
  #failures: { readonly names: RegExp; readonly at: 'open' | 'read' }[] = [];
  /** The services that were asked for, or told something. */
  readonly #standIns = new Map<Fake, StandIn>();
  #directory: string | undefined;

  constructor(environment: Map<string, string> = new Map(), files: Map<string, string> = new Map()) {
    this.environment = environment;
    this.#files = files;
  }

  /** A world of its own that is like this one now. */
  copy(): World {
    const copy = new World(new Map(this.environment), new Map(this.#files));
    for (const [fake, standIn] of this.#standIns) copy.#standIns.set(fake, standIn.copy(copy));
    copy.#stopped = this.#stopped;
    copy.#ahead = this.#ahead;
    copy.#failures = [...this.#failures];
    for (const [name, content] of this.#files) copy.#write(name, content);
    return copy;
  }

  /** The service of this world. */
  standIn(fake: Fake): StandIn {
    let standIn = this.#standIns.get(fake);
    if (standIn === undefined) {
      standIn = fake.make(this);
      this.#standIns.set(fake, standIn);
    }
    return standIn;
  }

  /** All services of this world. @param logs where a policy's own lines go */
  services(logs: Pick<Services, 'log' | 'stderr'>): Services {
    const standIns = FAKES.map((fake) => [fake.service, this.standIn(fake)]);
    return { clock: this, ...logs, ...Object.fromEntries(standIns) };
  }

  now(): number {
    return this.#stopped === undefined ? Date.now() + this.#ahead * 1000 : this.#stopped * 1000;
  }

  /** Takes no time: the clock goes on as far. */
  async wait(milliseconds: number): Promise<void> {
    this.advance(milliseconds / 1000);
  }

  env(name: string): string | undefined {
    return this.environment.get(name);
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

  /** Elsewhere only if the file is one of this world. */
  locate(path: Buffer): Buffer {
    const name = path.toString('latin1');
    if (this.#files.has(name)) return Buffer.from(this.#place(name), 'latin1');
    const failure = this.#failures.findLast(({ names }) => names.test(name));
    if (failure === undefined) return path;
    const stand = join(this.directory(), `cannot-${failure.at}`);
    if (failure.at === 'read') mkdirSync(stand, { recursive: true });
    return Buffer.from(stand, 'latin1');
  }

  /**
   * Makes files fail to open, or to be read: a missing file, or a directory, stands in their place.
   * @param wildcard latin1; `*` stands for anything
   */
  spoil(wildcard: string, at: 'open' | 'read'): void {
    const names = wildcard.split('*').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
    this.#failures.push({ names: new RegExp(`^${names.join('.*')}$`, 's'), at });
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
